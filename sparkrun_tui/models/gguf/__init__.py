"""GGUF files: header, keys, tensor types and layers."""
