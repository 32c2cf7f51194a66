"""The id of a launch."""

from __future__ import annotations

import secrets

from sparkrun_tui.base.reading.identifiers import LAUNCH_ALPHABET, LAUNCH_LENGTH


def new_launch_id() -> str:
    """A new random id: eight characters that are easy to read aloud."""
    return "".join(secrets.choice(LAUNCH_ALPHABET) for _ in range(LAUNCH_LENGTH))
