"""The judge of llama.cpp: a release's own llama-server loads made-up files and says what it allocates."""
