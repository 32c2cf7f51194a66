"""Paths: the user's XDG directories, and the data that ships with the program."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

_APP = "sparkrun-tui"
_PACKAGE = Path(__file__).resolve().parent.parent


def config_dir() -> Path:
    """The folder of the user's settings (`$XDG_CONFIG_HOME/sparkrun-tui`)."""
    return platformdirs.user_config_path(_APP)


def cache_dir() -> Path:
    """The folder of what can be recreated: indexes, registry clones, model facts."""
    return platformdirs.user_cache_path(_APP)


def user_recipes() -> Path:
    """Where the user's own recipes are written; listed when it exists."""
    return config_dir() / "recipes"


def state_dir() -> Path:
    """The folder of what must be kept: journals and logs of launches, history, saved overrides."""
    return platformdirs.user_state_path(_APP)


def sparkrun_config_dir() -> Path:
    """The sparkrun CLI's settings folder, which is read and never written (`~/.config/sparkrun` on every system)."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "sparkrun"


def _shipped(name: str) -> Path:
    """A data folder: inside the package when installed from a wheel, beside it in a checkout."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def bundled_recipes() -> Path:
    """The recipes that ship with the program."""
    return _shipped("recipes")


def styles_dir() -> Path:
    """The Textual style sheets."""
    return _shipped("styles")
