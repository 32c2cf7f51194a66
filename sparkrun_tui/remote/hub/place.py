"""Where the Hugging Face cache of this machine lies."""

from __future__ import annotations

import os
from pathlib import Path


def hub_folder() -> Path:
    """The workstation's `hub` folder, where huggingface_hub keeps it."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return Path(home).expanduser() / "hub"
