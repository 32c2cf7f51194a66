"""SGLang: solo, and on several hosts by its own distribution."""
