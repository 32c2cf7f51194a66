"""The app itself: it wires screens, theme, keys and the session, and polls running launches."""
