"""`./dev bench --vs`: two checkouts run in turn, and figures are compared by the names of their rows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.versus import Compared, check_out, figures_of, measured, run_part
from tests.support.programs import need

PART = """
from collections import namedtuple
from pathlib import Path

Row = namedtuple("Row", "what figure")

def run(quick=False):
    runs = Path(__file__).with_name("runs")
    count = len(runs.read_text()) + 1 if runs.exists() else 1
    runs.write_text("x" * count)
    print("a word on the way")
    return [Row(f"a key (worst {count} ms)", f"{FACTOR * count:.1f} ms"), Row("only NAME", "1 ms")]
"""


def checkout(folder: Path, name: str, factor: int) -> Path:
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "benchmarks" / "__init__.py").touch()
    (folder / "benchmarks" / "part.py").write_text(PART.replace("NAME", name).replace("FACTOR", str(factor)))
    return folder


def test_both_checkouts_run_as_often_and_rows_of_one_are_left_out(tmp_path: Path) -> None:
    before, after = checkout(tmp_path / "one", "before", 1), checkout(tmp_path / "two", "after", 2)
    assert list(measured("part", before, after, quick=True, rounds=3)) == [
        Compared("a key", (1.0, 2.0, 3.0), (2.0, 4.0, 6.0))
    ]


def test_a_ratio_is_of_medians_and_of_the_lowest() -> None:
    row = Compared("x", (2.0, 3.0, 100.0), (4.0, 6.0, 1.0))
    assert (row.ratio, row.best_ratio) == (4 / 3, 0.5)
    assert Compared("x", (0.0,), (1.0,)).ratio is None


def test_figures_are_read_without_what_differs_from_run_to_run() -> None:
    rows = [["key p50 / p95", "1.5 / 20.0 ms"], ["10,000 recipes (worst 3.0 ms)", "1,024 ms"], ["  its end", "9"]]
    assert figures_of([*rows, ["nothing", "none"]]) == {
        "key p50 / p95 (1 of 2)": 1.5,
        "key p50 / p95 (2 of 2)": 20.0,
        "10,000 recipes": 1024.0,
        "10,000 recipes: its end": 9.0,
    }


def test_a_part_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_part(checkout(tmp_path / "one", "x", 1), "other_part", quick=True)
    assert "other_part" in caught.value.stderr


def test_an_unknown_commit_is_refused(tmp_path: Path) -> None:
    subprocess.run([need("git"), "init", "-q", str(tmp_path)], check=True)
    with pytest.raises(SystemExit, match="git rev-parse"):
        check_out(tmp_path, "no-such-commit", tmp_path / "out")


def test_the_files_of_a_commit_are_put_into_a_folder(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    git = [need("git"), "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    (repository / "file").write_text("first")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    (repository / "file").write_text("second")
    check_out(repository, "HEAD", tmp_path / "out")
    assert (tmp_path / "out" / "file").read_text() == "first"
