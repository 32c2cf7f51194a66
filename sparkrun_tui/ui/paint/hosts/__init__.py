"""Hosts, workloads and what is stored on hosts, as lines."""
