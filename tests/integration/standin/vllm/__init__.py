"""vLLM, as far as its older way to start a server goes."""
