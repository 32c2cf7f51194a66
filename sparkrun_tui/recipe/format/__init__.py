"""The file format: YAML text to a `Recipe`, with the place of every problem."""
