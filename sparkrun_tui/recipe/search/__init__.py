"""All recipes as entries: listed, indexed and found by a query."""
