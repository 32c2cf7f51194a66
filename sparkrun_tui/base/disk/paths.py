"""Paths: the user's XDG directories, and the data that ships with the program."""

from __future__ import annotations

import os
from pathlib import Path

_APP = "sparkrun-tui"
_PACKAGE = Path(__file__).resolve().parents[2]


def _xdg(variable: str, usual: str) -> Path:
    """A base folder of the XDG standard, the same on Linux and macOS; a relative path in the variable is ignored."""
    given = os.environ.get(variable, "")
    if os.path.isabs(given):
        return Path(given)
    return Path(usual).expanduser()


def config_dir() -> Path:
    """The folder of the user's settings (`$XDG_CONFIG_HOME/sparkrun-tui`)."""
    return _xdg("XDG_CONFIG_HOME", "~/.config") / _APP


def cache_dir() -> Path:
    """The folder of what can be recreated: indexes, registry clones, model facts."""
    return _xdg("XDG_CACHE_HOME", "~/.cache") / _APP


def user_recipes() -> Path:
    """Where the user's own recipes are written; listed when it exists."""
    return config_dir() / "recipes"


def state_dir() -> Path:
    """The folder of what must be kept: journals and logs of launches, history, saved overrides."""
    return _xdg("XDG_STATE_HOME", "~/.local/state") / _APP


def sparkrun_config_dir() -> Path:
    """The sparkrun CLI's settings folder, which is read and never written (`~/.config/sparkrun` on every system)."""
    return _xdg("XDG_CONFIG_HOME", "~/.config") / "sparkrun"


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
