"""Git repositories of recipes: configured, fetched and cached."""
