"""SSH: names resolved as the user's own ssh would, keys, known hosts, one connection for each host."""
