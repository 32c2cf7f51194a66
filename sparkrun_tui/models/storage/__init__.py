"""How checkpoints store the weights of single modules."""
