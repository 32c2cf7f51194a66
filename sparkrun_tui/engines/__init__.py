"""How each engine is laid out on hosts: pure functions from a rendered recipe to a plan."""
