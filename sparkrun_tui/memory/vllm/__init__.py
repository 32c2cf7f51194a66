"""Memory of vLLM by its own rules."""
