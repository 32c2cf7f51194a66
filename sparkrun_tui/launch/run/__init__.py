"""A launch on its way: steps carried out, containers followed, readiness, watching, cleaning up."""
