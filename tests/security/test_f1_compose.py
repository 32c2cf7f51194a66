"""F1: a Compose file is another person's: its values stay values, and a copy among one's own recipes is asked about."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.engines.compose import converted
from sparkrun_tui.recipe.format.loader import load_text
from tests.cli.conftest import Cli, cli

__all__ = ["cli"]

ENDINGS = ["\u2028", "\u2029", "\x85", "\r", "\r\n"]
"""Everything that ends a line in YAML 1.1, besides the usual line break."""


def compose(**service: object) -> str:
    return json.dumps({"services": {"chat": {"image": "vllm/vllm-openai:v0.31.0", **service}}})


def places(end: str) -> Mapping[str, dict[str, Any]]:
    """Services that would give the recipe a hook of their own, had it been written as it is."""
    more = f"{end}post_commands: [touch canary]{end}"
    script = f"vllm serve a/b\n{more}z: |{end} "
    return {
        "word": {"command": ["--model", "a/b", "--x", f"y{more}"]},
        "model": {"command": ["--model", f"a/b{more}"]},
        "script": {"entrypoint": ["bash", "-c", script]},
        "variable": {"command": ["--model", "a/b"], "environment": {"A": f"y{more}"}},
        "name": {"command": ["--model", "a/b"], "environment": {f"A{end}post_commands": "x"}},
        "user": {"command": ["--model", "a/b"], "user": f"a{more}"},
        "volume": {"command": ["--model", "a/b"], "volumes": [f"/a{more}:/b"]},
        "image": {"image": f"vllm/vllm-openai{more}", "command": ["--model", "a/b"]},
    }


@pytest.mark.parametrize("end", ENDINGS)
@pytest.mark.parametrize("place", list(places("")))
def test_no_value_becomes_a_key_of_the_recipe(end: str, place: str) -> None:
    recipe = load_text(converted(compose(**places(end)[place]), "compose.yml").text)
    assert "post_commands" not in recipe.spots and "z" not in recipe.spots
    assert recipe.command is not None and "vllm serve" in recipe.command
    if place == "variable":
        assert recipe.env["A"].text == f"y{end}post_commands: [touch canary]{end}"


def test_a_dollar_that_compose_escapes_names_no_variable() -> None:
    environment = {"A": "$$AWS_SECRET_ACCESS_KEY", "B": "${MINE}-$$5", "C": "$$"}
    made = converted(compose(command=["--model", "a/b"], environment=environment), "compose.yml")
    recipe = load_text(made.text)
    assert {name: value.text for name, value in recipe.env.items()} == {"B": "${MINE}-$5", "C": "$"}
    assert any("`A` holds a `$`" in note for note in made.notes)


MORE = {
    "command": ["--model", "a/b"],
    "privileged": True,
    "volumes": ["/etc:/host"],
    "environment": {"A": "${AWS_SECRET_ACCESS_KEY}"},
}


def test_a_copy_among_ones_own_recipes_is_asked_about(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    source, own = tmp_path / "compose.yml", paths.user_recipes() / "chat.yaml"
    source.write_text(compose(**MORE))
    done = cli("recipe", "new", "--from", str(source), "--output", str(own))
    assert done.code == 2
    assert not own.exists()
    for what in ("runs privileged", "mounts /etc", "reads AWS_SECRET_ACCESS_KEY"):
        assert what in done.err
    assert cli("recipe", "new", "--from", str(source), "--output", str(own), "--yes").code == 0
    assert own.exists()


def test_one_that_only_serves_is_not(cli: Cli, tmp_path: Path) -> None:
    source, own = tmp_path / "compose.yml", paths.user_recipes() / "chat.yaml"
    source.write_text(compose(command=["--model", "a/b"]))
    assert cli("recipe", "new", "--from", str(source), "--output", str(own)).code == 0


def test_elsewhere_the_launch_asks(cli: Cli, tmp_path: Path) -> None:
    source, copy = tmp_path / "compose.yml", tmp_path / "chat.yaml"
    source.write_text(compose(**MORE))
    assert cli("recipe", "new", "--from", str(source), "--output", str(copy)).code == 0
    refused = cli("run", str(copy), "-H", "spark-1")
    assert refused.code == 2
    assert "mounts /etc" in refused.err


def test_a_flag_that_is_repeated_thousands_of_times_takes_no_time() -> None:
    before = time.process_time()
    text = converted(compose(command=["bash", "-c", "vllm serve a/b " + "--port 1 " * 8_000]), "compose.yml").text
    assert text.count("--port {port}") == 8_000
    assert time.process_time() - before < 3


KEY = "canary-0123456789"
IN_CLEAR: Mapping[str, dict[str, Any]] = {
    "flag": {"command": ["--model", "a/b", "--api-key", KEY]},
    "attached": {"command": ["--model", "a/b", f"--api-key={KEY}"]},
    "abbreviated": {"command": ["--model", "a/b", "--api-k", KEY]},
    "script": {"command": ["bash", "-c", f"vllm serve a/b --api-key {KEY}"]},
    "attached in a script": {"command": ["bash", "-c", f"vllm serve a/b --api-key={KEY}"]},
    "default": {"command": ["--model", "a/b", "--api-key", f"${{X:-{KEY}}}"]},
    "variable": {"command": ["--model", "a/b"], "environment": {"VLLM_API_KEY": KEY}},
    "beside a variable": {"command": ["--model", "a/b"], "environment": {"VLLM_API_KEY": f"${{A}}{KEY}"}},
    "address": {"command": ["--model", "a/b"], "environment": {"HTTPS_PROXY": f"http://u:{KEY}@proxy:1"}},
    "argument": {
        "image": "ghcr.io/ggml-org/llama.cpp:server-cuda",
        "environment": {"LLAMA_ARG_MODEL": "/m.gguf", "LLAMA_ARG_API_KEY": f"${{X:-{KEY}}}"},
    },
    "attached for llama.cpp": {
        "image": "ghcr.io/ggml-org/llama.cpp:server-cuda",
        "command": ["-m", "/m.gguf", f"--api-key={KEY}"],
    },
}
"""Services that give a secret in clear."""


@pytest.mark.parametrize("way", list(IN_CLEAR))
def test_no_secret_of_a_compose_file_is_copied_or_told(way: str) -> None:
    found = converted(compose(**IN_CLEAR[way]), "compose.yml")
    assert KEY not in found.text
    assert KEY not in "".join(found.notes)
    assert load_text(found.text).env


LEFT = {
    "another program": f"vllm serve a/b && other --api-key {KEY}",
    "assignment": f"export HF_TOKEN={KEY}; vllm serve a/b",
}
"""Scripts with a secret that is not the engine's own."""


@pytest.mark.parametrize("way", list(LEFT))
def test_a_secret_that_stays_is_shown_to_nobody_else(cli: Cli, way: str, tmp_path: Path) -> None:
    file = tmp_path / "compose.yml"
    file.write_text(compose(command=["bash", "-c", LEFT[way]]))
    shown = cli("recipe", "new", "--from", str(file))
    assert shown.code == 0
    assert KEY not in shown.out + shown.err and "contains secrets" in shown.err
    target = tmp_path / "new.yaml"
    written = cli("recipe", "new", "--from", str(file), "--output", str(target))
    assert written.code == 0 and "only you can read" in written.err
    assert KEY in target.read_text() and target.stat().st_mode & 0o077 == 0
