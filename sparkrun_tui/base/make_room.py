"""What to do about a full disk: the one place that names the commands which show and remove models and images."""

from __future__ import annotations

from sparkrun_tui.base import shell
from sparkrun_tui.base.shell import Text


def model_command(host: str = "") -> Text:
    """The command that offers to remove models from a host's cache; without a host, from that of this machine."""
    return shell.words(["sparkrun-tui", "models", "prune", *_where(host)])


def image_command(host: str) -> Text:
    """The command that offers to remove images from a host."""
    return shell.words(["sparkrun-tui", "images", "prune", *_where(host)])


def room_for_models(host: str = "") -> str:
    """The remedy for a full model cache, as a sentence; without a host, for that of this machine."""
    return f"Make room on {host or 'this machine'}: {model_command(host)}"


def room_for_images(host: str) -> str:
    """The remedy for a full disk of images, as a sentence."""
    return f"Make room on {host}: {image_command(host)}"


def _where(host: str) -> list[str]:
    if host:
        return ["-H", host]
    return ["--here"]
