"""Judges: the engines' own planning code, run without a GPU, as the measure of our estimates."""
