"""Ways to start vLLM."""
