"""Files that two programs write: nothing of either is lost, and readers never see half a file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sparkrun_tui.base.disk import files, paths
from sparkrun_tui.base.errors import SettingsError, SparkrunError
from sparkrun_tui.base.user.settings import Cluster, config_file, load_settings, remove_cluster, save_cluster
from sparkrun_tui.recipe.registry.config import Registry, configured, registries_file, save

ROUNDS = 15

# Each program waits for the start, so that all write at the same time; what it does is its first argument.
PROGRAM = """
import sys, time
from pathlib import Path
from sparkrun_tui.base.user.settings import Cluster, remove_cluster, save_cluster
from sparkrun_tui.launch.sizing.measured_store import ImageFacts, learn_image
from sparkrun_tui.recipe.registry.config import Registry, save

kind, me, rounds, start = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
Path(f"{start}.{me}").touch()
while not start.exists():
    time.sleep(0.002)
for number in range(rounds):
    # Nobody writes without a pause: a lock that is asked for again at once may be had before one that is waited for.
    time.sleep(0.02)
    name = f"{me}-{number}"
    if kind == "clusters":
        save_cluster(Cluster(name, (name,)))
        save_cluster(Cluster(f"{name}-gone", (name,)))
        remove_cluster(f"{name}-gone")
    elif kind == "registries":
        save(Registry(name, f"https://example.org/{name}"))
    else:
        learn_image(name, ImageFacts("sha256:1", "1"))
"""


def run_two(kind: str, tmp_path: Path) -> None:
    """Two programs that write the same file at the same time, to their end."""
    start = tmp_path / "start"
    programs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, kind, me, str(ROUNDS), str(start)], stderr=subprocess.PIPE)
        for me in ("a", "b")
    ]
    deadline = time.monotonic() + 120
    while not all(Path(f"{start}.{me}").exists() for me in ("a", "b")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    start.touch()
    for program in programs:
        _, errors = program.communicate(timeout=240)
        assert program.returncode == 0, errors.decode()


EXPECTED = {f"{me}-{number}" for me in ("a", "b") for number in range(ROUNDS)}


def test_two_programs_lose_no_cluster_of_each_other_and_no_comment(tmp_path: Path) -> None:
    config_file().parent.mkdir(parents=True)
    config_file().write_text("# mine\nclusters:\n  first: [x]  # the first\n# end\n", encoding="utf-8")
    run_two("clusters", tmp_path)
    assert {cluster.name for cluster in load_settings().clusters} == EXPECTED | {"first"}
    text = config_file().read_text(encoding="utf-8")
    assert text.startswith("# mine\nclusters:\n  first: [x]  # the first\n") and "\n# end\n" in text
    assert [path.name for path in config_file().parent.iterdir()] == ["config.yaml"]


def test_two_programs_lose_no_registry_of_each_other(tmp_path: Path) -> None:
    run_two("registries", tmp_path)
    assert {registry.name for registry in configured()[0] if registry.origin == "config"} == EXPECTED


def test_two_programs_lose_nothing_that_was_learned(tmp_path: Path) -> None:
    run_two("images", tmp_path)
    text = (paths.state_dir() / "measured" / "images.json").read_text(encoding="utf-8")
    assert [name for name in EXPECTED if f'"{name}"' not in text] == []


def test_a_lock_that_is_held_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    order = []

    def hold_it() -> None:
        with files.locked(path):
            held.set()
            time.sleep(0.2)
            order.append("first")

    held = threading.Event()
    thread = threading.Thread(target=hold_it)
    thread.start()
    assert held.wait(10)
    with files.locked(path):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_that_is_never_let_go_is_an_error() -> None:
    with (
        files.locked(config_file()),
        pytest.raises(files.Busy, match="another program"),
        files.locked(config_file(), wait=0.1),
    ):
        pytest.fail("the lock was given twice")


def test_the_lock_ends_with_its_program(tmp_path: Path) -> None:
    path = tmp_path / "file"
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom sparkrun_tui.base.disk.files import locked\n"
        "held = locked(Path(sys.argv[1]))\nheld.__enter__()\nos._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == 9
    with files.locked(path, wait=0):
        pass


def test_a_change_that_fails_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before", encoding="utf-8")

    def fail(_: str) -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        files.update_private(path, fail)
    assert path.read_text(encoding="utf-8") == "before"
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["file"]


def test_a_link_with_the_name_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    with files.locked(tmp_path / "file"):
        (lock,) = (paths.state_dir() / "locks").iterdir()
    lock.unlink()
    lock.symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic"), files.locked(tmp_path / "file"):
        pass
    assert not (tmp_path / "victim").exists()


def test_what_cannot_be_written_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "write_private", refuse)
    for action in (lambda: save_cluster(Cluster("a", ("x",))), lambda: save(Registry("a", "https://example.org/a"))):
        with pytest.raises(SparkrunError, match=r"cannot be written: Permission denied"):
            action()


def test_what_is_not_utf8_is_refused_and_kept() -> None:
    config_file().parent.mkdir(parents=True)
    for path, action in (
        (config_file(), lambda: remove_cluster("a")),
        (registries_file(), lambda: save(Registry("a", "https://example.org/a"))),
    ):
        path.write_bytes(b"a: \xff\n")
        with pytest.raises(SettingsError):
            action()
        assert path.read_bytes() == b"a: \xff\n"


def test_files_are_for_their_owner(tmp_path: Path) -> None:
    save_cluster(Cluster("a", ("x",)))
    assert config_file().stat().st_mode & 0o777 == 0o600
    locks = paths.state_dir() / "locks"
    assert locks.stat().st_mode & 0o777 == 0o700
    assert all(os.stat(lock).st_mode & 0o777 == 0o600 for lock in locks.iterdir())
