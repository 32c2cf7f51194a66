"""What the fuzz targets found beyond the review: settings, journals, names of folders and pages of metrics."""

from __future__ import annotations

import json
import time

import pytest

from sparkrun_tui.base.errors import SettingsError, UsageError
from sparkrun_tui.base.user.settings import config_file, load_settings
from sparkrun_tui.fleet.metrics import parse
from sparkrun_tui.launch.record.journal import launches_dir, read_events, read_state
from sparkrun_tui.recipe.registry import cache as registry_cache
from sparkrun_tui.recipe.registry.config import Registry, check_url
from sparkrun_tui.recipe.registry.registries import folders_of

LONG = "a" * 300
"""A name that no file system takes."""


@pytest.mark.parametrize(
    "text", ["theme: !!int x\n", "recipe_dirs: [[a]]\n", "keys: {a: {b: c}}\n", "clusters: {lab: {hosts: [[a]]}}\n"]
)
def test_settings_that_cannot_be_used_are_an_error_for_the_person(text: str) -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError):
        load_settings()


def test_events_with_values_of_other_types_are_passed_over() -> None:
    folder = launches_dir() / "abcdefgh"
    folder.mkdir(parents=True)
    good = {"kind": "link", "host": "spark-01", "state": "up"}
    bad = [{**good, "host": []}, {"kind": "fact", "host": "a", "name": [], "value": 1}, {**good, "time": "soon"}]
    text = "\n".join(json.dumps(event) for event in (*bad, good))
    (folder / "events.jsonl").write_text(text, encoding="utf-8")
    assert [event.host for event in read_events(folder)] == ["spark-01"]  # type: ignore[union-attr]
    assert list(read_state(folder).hosts) == ["spark-01"]


def test_a_manifest_with_a_name_that_is_too_long_names_no_folder() -> None:
    registry = Registry("r1", "https://example.org/a/b")
    home = registry_cache.home(registry.url)
    (home / "files" / ".sparkrun").mkdir(parents=True)
    (home / "files" / "good").mkdir()
    state = {"folder": "files", "commit": "0" * 40, "fetched": 1.0, "form": 2}
    (home / "state.json").write_text(json.dumps(state), encoding="utf-8")
    entries = f"registries:\n- {{name: x, recipes: {LONG}}}\n- {{name: y, recipes: good}}\n"
    (home / "files" / registry_cache.MANIFEST).write_text(entries, encoding="utf-8")
    assert [folder.path.name for folder in folders_of(registry)] == ["good"]


def test_an_address_with_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(UsageError):
        check_url(f"/{LONG}")


def test_a_page_of_open_braces_is_read_in_no_time() -> None:
    began = time.process_time()
    page = 'vllm:num_requests_running{engine="0\n' * 20_000 + "vllm:num_requests_running 3.0\n"
    assert parse(page, 0.0).running == 3.0
    assert time.process_time() - began < 1.0
