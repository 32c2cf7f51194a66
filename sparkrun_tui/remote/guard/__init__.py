"""The memory guard of a host: the script that runs there, its record, and the ways to start, read and end it."""
