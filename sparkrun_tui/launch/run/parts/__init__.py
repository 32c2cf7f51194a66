"""What the steps of a launch work with: what is given, what is running, how it is reported, and work on hosts."""
