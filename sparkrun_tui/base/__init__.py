"""What every layer stands on: errors, units, text safety, secrets, paths and settings."""
