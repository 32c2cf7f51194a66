"""Recipes, their memory and their registries as lines."""
