"""Simulated engines: what they print, how they serve and how they end."""
