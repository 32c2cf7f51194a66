"""The user's own files: settings, what the app remembers, and changes to YAML that keep its other lines."""
