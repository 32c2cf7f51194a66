"""The steps of a launch as they are carried out: check, image, model, start."""
