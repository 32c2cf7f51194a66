"""The command line face: arguments in, text or JSON out."""
