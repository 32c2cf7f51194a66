"""Files that a recipe sends along: found below one folder, bounded, read once."""
