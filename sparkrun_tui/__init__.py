"""Find, size, launch and watch LLM serving recipes on NVIDIA DGX Sparks."""

__version__ = "0.1.0"
