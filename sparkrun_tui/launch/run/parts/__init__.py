"""What the steps of a launch share: its input, its running state, its reporter, and work on hosts."""
