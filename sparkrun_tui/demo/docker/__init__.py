"""The simulated Docker daemon of a host."""
