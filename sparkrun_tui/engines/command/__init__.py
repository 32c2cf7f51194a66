"""The serve command: built from values, or the author's, edited word by word."""
