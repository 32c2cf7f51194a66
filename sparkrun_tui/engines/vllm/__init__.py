"""vLLM: solo, through Ray, and on several hosts without Ray."""
