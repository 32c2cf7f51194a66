"""The command line: arguments in, plain lines and JSON out."""
