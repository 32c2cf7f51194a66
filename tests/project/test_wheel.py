"""The wheel works where there is no checkout: it is built, installed in an empty environment, and lists its recipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support import shell_files

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
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of this checkout, built without network."""
    out = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (built,) = out.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` directory of an environment with the wheel and this one's libraries, but without the checkout."""
    return made_environment(tmp_path_factory.mktemp("empty environment"), wheel)


def made_environment(home: Path, distribution: Path, *options: str) -> Path:
    """The `bin` directory of a new environment with a distribution and this one's libraries."""
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    # A path file that a path file adds is not read again: the libraries are seen, the checkout's own path file is not.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet"]
    run(*pip, "--disable-pip-version-check", *options, distribution, cwd=home)
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


def test_manual_pages_and_completion_scripts_are_what_the_command_line_says(tmp_path: Path) -> None:
    """When this fails: `./dev manpages`."""
    shell_files.write(tmp_path)
    for kind in ("man", "completions"):
        written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / kind).iterdir()}
        kept = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / kind).iterdir()}
        assert written == kept


def test_manual_pages_hold_nothing_that_roff_takes_for_its_own() -> None:
    requests = {".TH", ".SH", ".PP", ".B", ".TP"}
    pages = list((ROOT / "docs" / "man").iterdir())
    assert "sparkrun-tui.1" in {page.name for page in pages}
    for page in pages:
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith((".", "'")):
                assert line.split()[0] in requests, f"{page.name}: {line}"


def test_an_installation_brings_manual_pages_and_completions(installed: Path) -> None:
    share = installed.parent / "share"
    assert "Launch the recipe NAME" in (share / "man/man1/sparkrun-tui-run.1").read_text(encoding="utf-8")
    for place in (
        "bash-completion/completions/sparkrun-tui",
        "fish/vendor_completions.d/sparkrun-tui.fish",
        "zsh/site-functions/_sparkrun-tui",
    ):
        assert "_SPARKRUN_TUI_COMPLETE" in (share / place).read_text(encoding="utf-8")


def test_both_distributions_are_what_the_registry_takes(wheel: Path, sdist: Path) -> None:
    said = run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist, cwd=wheel.parent)
    assert said.count("PASSED") == 2


def test_the_source_distribution_is_installed_in_an_empty_environment(sdist: Path, tmp_path: Path) -> None:
    """Its build backend is this environment's, since nothing is downloaded here."""
    bin_folder = made_environment(tmp_path / "empty", sdist, "--no-build-isolation")
    environ = clean_environment(tmp_path)
    listed = json.loads(run(bin_folder / "sparkrun-tui", "list", "--json", cwd=tmp_path, env=environ))
    assert len(listed) >= 10
    assert (bin_folder.parent / "share/man/man1/sparkrun-tui.1").exists()


def test_a_wheel_from_the_source_distribution_is_the_same(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(tmp_path, filter="data")
    assert {"tests/project/test_wheel.py", "docs/cli.md", "dev", "requirements.lock", "screenshots/plan.svg"} <= names
    (source,) = tmp_path.iterdir()
    out = tmp_path / "out"
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source, cwd=tmp_path)
    (again,) = out.glob("*.whl")
    assert set(zipfile.ZipFile(again).namelist()) == set(zipfile.ZipFile(wheel).namelist())
