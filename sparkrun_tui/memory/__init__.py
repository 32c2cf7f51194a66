"""How much memory a recipe needs on each host, and what the engine will say about it."""
