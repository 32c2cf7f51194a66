"""SGLang as a judge: its own argument resolution, pool sizing and pools, on a machine that answers as a GB10 does."""
