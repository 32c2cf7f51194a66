"""Thin asyncio adapters to the outside: SSH, Docker, rsync, the Hub and what a host says of itself."""
