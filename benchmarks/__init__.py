"""Figures of the program, each with its reference from the same run."""
