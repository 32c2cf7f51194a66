"""The Hugging Face Hub and its caches, here and on hosts."""
