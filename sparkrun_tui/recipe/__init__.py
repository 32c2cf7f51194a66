"""The recipe format: read, validate, override, render, find and search; the only effects are reading files and git."""
