"""Files that are copied with a recipe: found below one folder, bounded, read once."""
