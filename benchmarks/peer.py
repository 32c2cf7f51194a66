"""sparkrun, the program that this one is measured beside: `python -m benchmarks.peer` installs it.

It gets an environment of its own, `.venv-peer`, with Python 3.12 where that is found. A benchmark opens no connection,
so nothing installs it by the way.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.made_recipes import write_recipes

VERSION = "0.4.2"
INSTALL = "python -m benchmarks.peer"
_HOME = Path(__file__).resolve().parent.parent / ".venv-peer"
_PYTHON = "3.12"


def program() -> Path | None:
    """The installed program, None where there is none."""
    found = _HOME / "bin" / "sparkrun"
    return found if found.is_file() else None


def python_version() -> str:
    """The version of Python that runs it. Raises `CalledProcessError` where it does not start."""
    asked = [str(_HOME / "bin" / "python"), "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def home_of_peer(folder: Path, count: int, bundled: Path) -> Mapping[str, str]:
    """An environment with a registry of `count` made recipes and those of the folder `bundled`, fetched already."""
    config = folder / ".config" / "sparkrun"
    config.mkdir(parents=True)
    entry = "{name: made, url: 'https://example.org/made.git', subpath: recipes, trusted: true}"
    # A version beyond its own: it then leaves the file as it is.
    (config / "registries.yaml").write_text(f"config_version: 99\nregistries:\n- {entry}\n", encoding="utf-8")
    checkout = folder / ".cache" / "sparkrun" / "registries" / "made"
    write_recipes(checkout / "recipes", count)
    for path in bundled.rglob("*.yaml"):
        shutil.copy(path, checkout / "recipes" / path.name)
    (checkout / ".git").mkdir()
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    return {**kept, "HOME": str(folder), "HF_HUB_OFFLINE": "1"}


def _interpreter() -> str:
    """Python 3.12 by its name or from pyenv, else the one that runs this."""
    named = shutil.which(f"python{_PYTHON}")
    kept = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{_PYTHON}.*/bin/python"))
    for candidate in (named, *map(str, kept)):
        if (
            candidate
            and subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False).returncode == 0
        ):
            return candidate
    return sys.executable


def main() -> None:
    """Install."""
    python = _interpreter()
    subprocess.run([python, "-m", "venv", "--clear", str(_HOME)], check=True)
    pip = [str(_HOME / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, f"sparkrun=={VERSION}"], check=True)
    print(f"sparkrun {VERSION} in {_HOME}, Python {python_version()}")


if __name__ == "__main__":
    main()
