"""Conversations with a served model: turns, settings, figures, refusals in words, and code that calls the endpoint."""
