"""This machine: paths, files written whole, and limits on child processes."""
