"""The wheel works where there is no checkout: it is built, installed in an empty environment, and lists its recipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Standard output of a command, which must succeed."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without network."""
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` directory of an environment with the wheel and this one's libraries, but without the checkout."""
    home = tmp_path_factory.mktemp("empty environment")
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet"]
    run(*pip, "--disable-pip-version-check", wheel, cwd=home)
    # A path file that a path file adds is not read again: the libraries are seen, the checkout's own path file is not.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return home / "bin"


def clean_environment(home: Path) -> dict[str, str]:
    """This process's environment without anything that leads back to the checkout."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"HOME": str(home)}


def test_wheel_carries_recipes_styles_and_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    checkout = {f"sparkrun_tui/{p.relative_to(ROOT)}" for p in (ROOT / "recipes").rglob("*.yaml")}
    styles = {f"sparkrun_tui/{p.relative_to(ROOT)}" for p in (ROOT / "styles").rglob("*.tcss")}
    assert checkout
    assert styles
    assert checkout | styles <= set(names)
    assert "sparkrun_tui/py.typed" in names
    assert any(name.endswith("/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "recipes/"))]


def test_installed_program_is_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    where = run(
        installed / "python",
        "-c",
        "import sparkrun_tui; print(sparkrun_tui.__file__)",
        cwd=tmp_path,
        env=clean_environment(tmp_path),
    )
    assert installed.parent in Path(where.strip()).parents


def test_installed_program_lists_the_bundled_recipes(installed: Path, tmp_path: Path) -> None:
    listed = json.loads(
        run(
            installed / "sparkrun-tui",
            "list",
            "--json",
            cwd=tmp_path,
            env=clean_environment(tmp_path),
        )
    )
    bundled = {path.stem for path in (ROOT / "recipes").rglob("*.yaml")}
    assert len(bundled) >= 10
    assert bundled <= {recipe["name"].rsplit("/", 1)[-1] for recipe in listed}
    assert all(recipe["model"] and recipe["runtime"] for recipe in listed)
