"""Fuzzing: mutated input of every kind that comes from outside, given to the code that reads it.

`python -m tests.fuzz --help` tells how to run it for long; `test_fuzz.py` runs a fixed number of inputs per target.
"""
