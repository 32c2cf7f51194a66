"""vLLM: on one host, on several through Ray, and on several without Ray."""
