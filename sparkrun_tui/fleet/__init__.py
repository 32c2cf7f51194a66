"""What runs on the clusters now, found on the hosts themselves: survey, metrics, attach and stop."""
