"""Programs of this machine that some tests run."""

from __future__ import annotations

import os
import shutil

import pytest


def need(program: str) -> str:
    """Where a program is. A test on a machine without it is skipped; in CI it fails, since a skip proves nothing."""
    found = shutil.which(program)
    if found is not None:
        return found
    what = f"{program} is not installed here"
    if os.environ.get("CI"):
        pytest.fail(f"{what}, which CI does not accept")
    pytest.skip(what)
