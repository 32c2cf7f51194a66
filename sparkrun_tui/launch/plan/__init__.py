"""What a launch will do: steps, commands, checks before anything is changed, the dry run."""
