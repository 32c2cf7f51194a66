"""The shapes of what commands print with `--json`. docs/json holds their JSON Schemas (`./dev schemas`).

No module of this folder is imported when a command runs: the type checker compares what commands print with them.
"""
