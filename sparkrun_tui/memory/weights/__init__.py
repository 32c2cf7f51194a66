"""The bytes of weights that one rank holds."""
