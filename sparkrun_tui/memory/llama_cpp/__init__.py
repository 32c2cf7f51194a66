"""Memory of llama-server by its own rules."""
