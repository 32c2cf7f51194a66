"""What a model is: its architecture, weights and files, read from configurations and headers."""
