"""What single texts of a recipe name: engines, dtypes, images, models on paths, mounts, numbers of parameters."""
