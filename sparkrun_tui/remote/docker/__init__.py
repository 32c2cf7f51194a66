"""The Docker Engine API of a host."""
