"""Dialogs over another screen: questions, text input, notices and the summary of overrides."""
