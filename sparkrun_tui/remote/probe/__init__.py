"""Reads the facts of a host in one round trip."""
