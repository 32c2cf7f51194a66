"""Models on their way to hosts: rsync from here, or from host to host."""
