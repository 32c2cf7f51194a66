"""The modules of a model that hold weights: their names, shapes and how ranks share them."""
