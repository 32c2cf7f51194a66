"""Runs inside of the environment of one vLLM release; imports nothing of the project but itself."""
