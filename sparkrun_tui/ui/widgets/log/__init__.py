"""Logs on screen: panes side by side or merged, following, search."""
