"""What a narrow column shows instead of an engine's name. Lists need it before they need an engine."""

from __future__ import annotations

SHORT_WORDS = {"vllm-distributed": "vllm-d", "llama-cpp": "llama", "eugr-vllm": "eugr"}
"""By the runtime word; all other words are shown as they are."""
