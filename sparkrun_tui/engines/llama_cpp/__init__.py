"""llama-server: one host, GGUF files."""
