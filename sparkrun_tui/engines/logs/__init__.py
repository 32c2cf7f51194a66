"""Which lines of an engine's log mark a phase, a fact or readiness."""
