"""What the screens show, without Textual widgets: recipes, edits, the state of a session, the backend."""
