"""Benchmarks of served models: the client and its environment, what is measured, results that are kept and compared."""
