"""What a host says of itself in one round trip."""
