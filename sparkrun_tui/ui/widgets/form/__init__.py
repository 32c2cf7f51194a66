"""The form of overrides: its list, the editor of one value, and what it offers."""
