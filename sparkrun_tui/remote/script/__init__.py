"""Scripts on a host: how they are wrapped, what they print, and jobs that outlive the connection."""
