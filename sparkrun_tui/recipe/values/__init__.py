"""Values in force: overrides, defaults, the environment, and the command they render."""
