"""F1: files that are kept here, addresses, and what a host says of a launch or of a model's links."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.errors import RecipeError, SettingsError, UsageError
from sparkrun_tui.base.user.settings import Settings, config_file, load_settings
from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.launch.plan.web_recipes import address_of
from sparkrun_tui.launch.run.attach import _rendered
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import SourceKind
from sparkrun_tui.recipe.search.folders import Folder, recipe_files
from sparkrun_tui.recipe.search.listing import finish, list_recipes
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.saved_overrides import save_overrides, saved_overrides
from sparkrun_tui.remote.docker.types import ContainerInfo
from sparkrun_tui.remote.http import web
from sparkrun_tui.remote.probe.model_path import look_at
from tests.launch.fakes import FakeCluster, rendered
from tests.launch.test_local_models import Shell, answer
from tests.launch.virtual import virtual_time
from tests.support.https import https_server

Row = list[Any]


@pytest.mark.parametrize(
    "change",
    [
        lambda row: 5,
        lambda row: [],
        lambda row: {},
        lambda row: [row[0], row[1], 5],
        lambda row: [row[0], row[1], row[2][:3]],
        lambda row: [row[0], row[1], [*row[2], "more"]],
        lambda row: [row[0], row[1], [None] * len(row[2])],
        lambda row: [row[0], row[1], [{}] * len(row[2])],
        lambda row: [row[0], row[1], ["x"] * len(row[2])],
        lambda row: [row[0], row[1], [True if value is None else value for value in row[2]]],
    ],
)
def test_a_damaged_index_is_written_again(change: Callable[[Row], Any]) -> None:
    whole = finish(list_recipes(Settings(), search_words, budget=60))
    file = paths.cache_dir() / "recipe-index.json"
    data = json.loads(file.read_text())
    first = next(iter(data["rows"]))
    data["rows"][first] = change(data["rows"][first])
    file.write_text(json.dumps(data))
    again = finish(list_recipes(Settings(), search_words, budget=60))
    assert again.entries == whole.entries


def test_a_text_of_the_settings_that_aliases_repeat_is_refused() -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text(f"theme: &a '{'x' * 100_000}'\ndefaults: {{k: [{','.join(['*a'] * 9000)}]}}\n")
    with pytest.raises(SettingsError, match="MiB of text"):
        load_settings()
    config_file().write_text(f"defaults: {{a: &a {{k: '{'x' * 1000}'}}, b: *a}}\n")
    assert load_settings().defaults["a"] == load_settings().defaults["b"]


def test_a_file_of_very_many_values_counts_as_damaged() -> None:
    recipe = load_text("model: org/m\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve {model}\n")
    save_overrides(recipe, {f"k{number}": "v" for number in range(200_000)})
    begun = time.process_time()
    assert not render(recipe, saved_overrides(recipe)).overrides
    assert time.process_time() - begun < 2.0
    save_overrides(recipe, {"port": "9000"})
    assert saved_overrides(recipe) == {"port": "9000"}


def test_what_cannot_be_looked_at_hides_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "good.yaml").write_text("model: org/m\n")
    (tmp_path / "own" / "link.yaml").symlink_to(tmp_path / "own" / "good.yaml")

    def refuse(path: object, root: object) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("sparkrun_tui.recipe.search.folders.is_inside", refuse)
    names = [entry.name for entry in recipe_files(Folder(SourceKind.USER, tmp_path / "own"))]
    assert names == ["good.yaml"]


def test_an_address_with_a_token_is_not_shown_and_not_kept() -> None:
    for query in ("token=canary-0123456789", "a=b&api_key=canary-0123456789"):
        with pytest.raises(UsageError) as caught:
            address_of(f"https://example.org/r.yaml?{query}")
        assert "canary" not in str(caught.value)
    for query in ("ref=main", "token=", ""):
        assert address_of(f"https://example.org/r.yaml?{query}")


def test_a_redirect_to_no_address_is_an_error_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def redirect(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", f"https://{'a' * 70}.example/r.yaml")
        request.send_header("Content-Length", "0")
        request.end_headers()

    with https_server(tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        server.pages["/r.yaml"] = redirect
        with pytest.raises(RecipeError, match="cannot be fetched"):
            web.fetch(f"{server.address}/r.yaml", 1000)


def test_a_host_cannot_name_variables_of_this_machine() -> None:
    settings = {"env.A": "${AWS_SECRET_ACCESS_KEY}", "env.B": "x$HOME", "env.C": "plain", "port": "9000"}
    info = ContainerInfo(
        "0" * 64, "name", "image", "running", labels={"io.sparkrun-tui.settings": json.dumps(settings)}
    )
    assert _rendered(info).overrides == {"env.C": "plain", "port": "9000"}


async def test_links_of_all_files_of_a_model_are_followed(tmp_path: Path) -> None:
    secret = tmp_path / ".ssh" / "key.gguf"
    secret.parent.mkdir()
    secret.write_bytes(b"x")
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    (tmp_path / "p.gguf").symlink_to(secret)
    files = [str(tmp_path / "m.gguf"), str(tmp_path / "p.gguf")]
    seen = await look_at(Shell(tmp_path), files[0], files)  # type: ignore[arg-type]
    assert seen.leads == (files[0], str(secret))


PROJECTOR = """\
model: /srv/m/m.gguf
mmproj: p.gguf
runtime: llama-cpp
container: a/b:1
max_nodes: 1
command: llama-server -m {model} --mmproj {mmproj}
"""


@virtual_time
@pytest.mark.parametrize(
    ("link", "stands"),
    [
        ("/srv/other/p.gguf", True),
        ("/root/.ssh/p.gguf", False),
        ("/etc/p.gguf", False),
        ("/etc/a:b/p.gguf", False),
        ("/home/spark/.ssh/a $b.gguf", False),
    ],
)
async def test_no_link_of_a_projector_leads_to_what_is_never_mounted(
    cluster: FakeCluster, link: str, stands: bool
) -> None:
    plan = cluster.launcher().plan(rendered(PROJECTOR), cluster.cluster)
    said = ["real\t/srv/m/m.gguf", "file\t9\tm.gguf", "leads\t/srv/m/m.gguf", "file\t9\tp.gguf", f"leads\t{link}"]
    cluster.paths = {"spark-1": answer("file", *said)}
    inspection = await cluster.launcher().inspect(plan)
    found = [problem for problem in inspection.problems if problem.code == "model-path"]
    assert (not found) == stands
