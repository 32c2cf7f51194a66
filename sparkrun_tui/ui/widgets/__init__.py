"""One module per widget; widgets take engine values and post messages."""
