"""What a launch did: events, the state folded from them, the journal and the logs on disk."""
