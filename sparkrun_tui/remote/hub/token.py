"""The Hugging Face token of this machine."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.secrets import Secret

HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def hub_token(environ: Mapping[str, str]) -> Secret | None:
    """The Hugging Face token of this machine's environment, for downloads made here."""
    for name in HUB_TOKENS:
        if environ.get(name):
            return Secret(environ[name])
    return None
