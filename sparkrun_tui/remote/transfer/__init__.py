"""Models and images on their way to hosts: rsync from here, from host to host, or through the daemon."""
