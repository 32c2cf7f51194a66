"""The recipe format: read, validate, override, render, find and search; pure but for reading files and calling git."""
