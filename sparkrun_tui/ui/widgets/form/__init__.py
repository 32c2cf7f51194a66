"""The override form: its list, the editor of one value, and the choices it offers."""
