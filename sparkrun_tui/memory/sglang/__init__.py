"""Memory of SGLang by its own rules."""
