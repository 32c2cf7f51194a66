"""Whether a recipe fits on hosts: facts of the model, settings of the engine, what was measured before."""
