"""Protocols for hosts, daemons, logs, images and models, which doubles can implement."""
