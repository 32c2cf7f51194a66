"""The vLLM of spark-vllm-docker, launched by its own scripts."""
