"""A model's config.json as facts about its layers."""
