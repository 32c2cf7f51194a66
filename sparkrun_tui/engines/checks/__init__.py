"""Checks of a recipe against what its engine takes."""
