"""Plans, launches, their history and their conversation as lines."""
