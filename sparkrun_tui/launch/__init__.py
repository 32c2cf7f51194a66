"""What happens on hosts: plan, preflight, execution, events and their state, readiness, diagnosis, journal."""
