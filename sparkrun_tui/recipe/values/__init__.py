"""Effective values: overrides, defaults, the environment, and the command they render."""
