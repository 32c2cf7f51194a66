"""Foreign text and data to values, each within bounds: JSON, numbers, names, patterns."""
