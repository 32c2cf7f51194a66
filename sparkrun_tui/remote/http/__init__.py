"""HTTP to servers on a host, over streams that the host opens."""
