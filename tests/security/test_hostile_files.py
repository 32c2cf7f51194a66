"""What lies where the program reads: pipes, devices, floods, folders, damaged text; nothing hangs and nothing breaks.

A cache of models may be shared by all users of a machine, and a folder of recipes may be anybody's.
"""

from __future__ import annotations

import ast
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sparkrun_tui
from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import open_regular, read_bytes, read_text
from sparkrun_tui.base.user.remembered import recall, remembered_file
from sparkrun_tui.base.user.settings import Settings, config_file, load_settings
from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.launch.record.journal import Journal, launch_folder, log_lines, past_launches, read_events, read_log
from sparkrun_tui.launch.sizing.measured_store import ImageFacts, image_facts, records
from sparkrun_tui.models.digest_cache import read_digest
from sparkrun_tui.models.snapshot import Snapshot, find_snapshot, read_json, snapshot_digest
from sparkrun_tui.recipe.format.loader import load_recipe
from sparkrun_tui.recipe.model import BrokenRecipe, Source, SourceKind
from sparkrun_tui.recipe.registry import cache as registry_cache
from sparkrun_tui.recipe.registry.parts import manifest_entries
from sparkrun_tui.recipe.search.listing import finish, list_recipes
from sparkrun_tui.recipe.search.sources import all_recipes
from sparkrun_tui.recipe.trust import needs_consent
from sparkrun_tui.recipe.values.saved_overrides import save_overrides, saved_overrides
from sparkrun_tui.remote.hub.cache import commit_of
from sparkrun_tui.remote.ssh.known_hosts import read_known_hosts

PACKAGE = Path(sparkrun_tui.__file__).parent
RECIPE = "model: a/b\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve a/b\n"

OWN_WAYS = {
    "base/disk/files.py": "the functions themselves",
    "recipe/format/recipe_file.py": "opens in the same way, with words of its own for what is wrong",
    "recipe/bundled_files/sent_files.py": "follows no link",
    "engines/dumps.py": "files of the program",
    "models/known_sizes.py": "a file of the program",
    "models/shipped_table.py": "a file of the program",
    "launch/run/parts/owner.py": "/proc",
    "ui/app/ending.py": "the null device, for an app whose terminal is gone",
    "cli/commands/diagnose.py": "a file that the user names, which may be a pipe",
    "cli/launch.py": "/dev/null",
    "base/disk/memory_limit.py": "/proc",
    "remote/hub/worker.py": "a lock, which is not read",
}
"""Modules that may open files by other means than `base.files`, and why."""


def test_files_are_read_by_the_functions_that_wait_for_nothing() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name in OWN_WAYS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _reads(node):
                found.append(f"{name}:{node.lineno}")
    assert found == [], "base.files has open_regular, read_bytes and read_text"


def _reads(call: ast.Call) -> bool:
    called = call.func
    if isinstance(called, ast.Attribute) and called.attr in ("read_text", "read_bytes"):
        return True
    mode = next((word.value for word in call.args[:2] if isinstance(word, ast.Constant)), None)
    if isinstance(called, ast.Name) and called.id == "open":
        return not (isinstance(mode, str) and mode[:1] in ("w", "x", "a"))
    return isinstance(called, ast.Attribute) and called.attr == "open" and isinstance(mode, str) and mode[:1] == "r"


# Things that may lie in the place of a file.


def _pipe(place: Path) -> None:
    os.mkfifo(place)


def _endless(place: Path) -> None:
    place.symlink_to("/dev/zero")


def _terminal(place: Path) -> None:
    place.symlink_to("/dev/tty")


def _flood(place: Path) -> None:
    with place.open("wb") as file:
        file.truncate(3 << 30)


def _folder(place: Path) -> None:
    place.mkdir()


def _loop(place: Path) -> None:
    place.symlink_to(place.name)


def _bytes(place: Path) -> None:
    place.write_bytes(b"\xff\xfe\x00\x80" * 100)


def _deep(place: Path) -> None:
    place.write_text("[" * 200_000)


def _digits(place: Path) -> None:
    place.write_text('{"a": ' + "9" * 100_000 + "}")


def _closed(place: Path) -> None:
    place.symlink_to("/proc/1/mem")


KINDS: list[Callable[[Path], None]] = [
    _pipe, _endless, _terminal, _flood, _folder, _loop, _bytes, _deep, _digits, _closed,
]  # fmt: skip


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__.strip("_"))
def hostile(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], Path]]:
    """Puts something hostile in the place of a file; whoever waits for it, or takes all of it in, is stopped."""

    def put(place: Path) -> Path:
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            place.unlink()
        request.param(place)
        return place

    def waited(number: int, frame: object) -> None:
        raise AssertionError("it waits for what never comes")

    before = signal.signal(signal.SIGALRM, waited)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (700 << 20), hard))
    signal.alarm(20)
    try:
        yield put
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


Hostile = Callable[[Path], Path]


def test_only_regular_files_within_bounds_are_read(tmp_path: Path) -> None:
    for kind in (_pipe, _endless, _folder, _loop):
        place = tmp_path / kind.__name__
        kind(place)
        with pytest.raises(OSError):
            open_regular(place)
        with pytest.raises(OSError):
            read_text(place)
    plain = tmp_path / "plain"
    plain.write_bytes(b"12345\r\n")
    link = tmp_path / "link"
    link.symlink_to(plain)
    assert read_bytes(link) == b"12345\r\n"
    assert read_text(link, 7) == "12345\r\n"
    with pytest.raises(OSError, match="larger"):
        read_bytes(plain, 6)


def test_models_in_the_cache(hostile: Hostile, tmp_path: Path) -> None:
    commit = "0" * 40
    folder = tmp_path / "models--a--b"
    hostile(folder / "refs" / "main")
    assert find_snapshot(tmp_path, "a/b") is None
    assert commit_of(tmp_path, "a/b", "") is None
    snapshot = folder / "snapshots" / commit
    hostile(snapshot / "config.json")
    assert read_json(snapshot / "config.json") is None
    assert snapshot_digest("a/b", Snapshot(snapshot, commit)) is None
    assert read_digest(hostile(tmp_path / "digest.json")) is None


def test_the_headers_of_a_model(hostile: Hostile, tmp_path: Path) -> None:
    """Read by a process of its own, as the program does it; what it says is one line of JSON."""
    commit = "0" * 40
    snapshot = tmp_path / "models--a--b" / "snapshots" / commit
    hostile(snapshot / "model.safetensors")
    (snapshot / "config.json").write_text('{"model_type": "llama", "num_hidden_layers": 2}')
    (tmp_path / "models--a--b" / "refs").mkdir()
    (tmp_path / "models--a--b" / "refs" / "main").write_text(commit)
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "PYTHONPATH": str(PACKAGE.parent)}
    words = [sys.executable, "-P", "-m", "sparkrun_tui", "recipe", "vram", str(tmp_path / "r.yaml")]
    (tmp_path / "r.yaml").write_text(RECIPE)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    told = done.stdout + done.stderr
    assert "Traceback" not in told
    assert "unexpected" not in told
    assert told


def test_recipes_and_their_folder(hostile: Hostile, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(RECIPE)
    place = hostile(tmp_path / "bad.yaml")
    config_file().parent.mkdir(parents=True)
    config_file().write_text(f"recipe_dirs: [{tmp_path}]\n")
    found = all_recipes(load_settings())
    assert any(recipe.source.path.endswith("good.yaml") for recipe in found)
    bad = [recipe for recipe in found if recipe.source.path == str(place)]
    assert all(isinstance(recipe, BrokenRecipe) for recipe in bad)


def test_what_the_program_keeps(hostile: Hostile) -> None:
    hostile(remembered_file())
    assert recall().query == ""
    recipe = load_recipe(_recipe_file(), Source(SourceKind.REGISTRY, "/x/r.yaml", "arena"))
    save_overrides(recipe, {"a": "b"})
    (kept,) = (paths.state_dir() / "overrides").iterdir()
    hostile(kept)
    assert saved_overrides(recipe) == {}
    hostile(paths.state_dir() / "trusted.json")
    assert needs_consent(recipe)
    assert manifest_entries(hostile(paths.cache_dir() / "manifest.yaml")) == []
    assert read_known_hosts([hostile(paths.config_dir() / "known_hosts")]) is not None


def test_caches_and_measurements(hostile: Hostile, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(RECIPE)
    settings = Settings(recipe_dirs=(tmp_path,))
    hostile(paths.cache_dir() / "recipe-index.json")
    listing = finish(list_recipes(settings, search_words))
    assert any(entry.name == "good" for entry in listing.entries)
    url = "https://example.org/a/b"
    hostile(registry_cache.home(url) / "state.json")
    assert registry_cache.snapshot(url) is None
    digest = "0" * 64
    hostile(paths.state_dir() / "measured" / f"{digest[:32]}.json")
    assert records(digest) == ()
    hostile(paths.state_dir() / "measured" / "images.json")
    assert image_facts("a/b:1") == ImageFacts()


def _recipe_file() -> Path:
    place = paths.cache_dir() / "r.yaml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(RECIPE)
    return place


def test_journals(hostile: Hostile) -> None:
    folder = launch_folder("abcd2345")
    journal = Journal(folder, lambda text: text, hosts=1)  # type: ignore[arg-type]
    journal.close()
    hostile(folder / "events.jsonl")
    assert list(read_events(folder)) == []
    assert [past.state.recipe for past in past_launches()] in ([], [""])
    log = folder / "hosts" / "spark-1.log"
    hostile(log)
    for read in (lambda: read_log(folder, "spark-1", 10), lambda: list(log_lines(folder, "spark-1"))):
        try:
            lines = read()
        except OSError:
            continue
        assert sum(len(line.text) for line in lines) < 1 << 20
    assert json.dumps([]) == "[]"


@pytest.mark.parametrize(
    ("words", "name"), [(["cluster", "list"], "config.yaml"), (["registry", "list"], "registries.yaml")]
)
def test_settings_are_an_error_in_plain_words(hostile: Hostile, words: list[str], name: str) -> None:
    hostile(paths.config_dir() / name)
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-P", "-m", "sparkrun_tui", *words]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    told = done.stdout + done.stderr
    assert "Traceback" not in told
    assert "unexpected" not in told
    assert done.returncode in (0, 2)
