"""The Docker Engine API of a host, and images on their way to it."""
