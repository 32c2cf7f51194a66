"""K1: hostile values of a recipe in what is written for Compose, systemd and Kubernetes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrun_tui.launch.deploy.forms import files_of
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.values.overrides import render

FORMS = ("compose", "systemd", "kubernetes")
ENVIRON = {"AWS_SECRET_ACCESS_KEY": "canary-of-the-environment"}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
VLLM = """\
name: {name}
model: org/m
runtime: vllm
container: a/b:1
defaults: {{port: 8000}}
executor_config: {{devices: [{device}]}}
command: vllm serve {{model}} --port {{port}}
"""
DRAFT = """\
model: org/m
runtime: llama-cpp
container: a/b:1
command: llama-server -hf org/m:Q4_K_M -hfd "org/d:{quant}" --port 8000
"""


def written(form: str, text: str) -> str:
    (found,) = files_of(render(load_text(text), {}), form, ENVIRON).values()
    return found


def texts(data: Any) -> Iterator[str]:
    """Every text in the values of a document."""
    if isinstance(data, dict):
        for value in data.values():
            yield from texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from texts(value)
    elif isinstance(data, str):
        yield data


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sign", [r"\e]0;x\a", r"\x9b31m", r"\x7f", r"\x85ExecStartPre=x", r"\u2028x", r"\0x"])
def test_a_name_with_control_characters_is_written_with_signs(form: str, sign: str) -> None:
    text = written(form, VLLM.format(name=f'"evil{sign}name"', device="/dev/dri"))
    assert CONTROL.search(text) is None
    assert "\u2028" not in text
    assert "evil" in text


@pytest.mark.parametrize("reference", ["${AWS_SECRET_ACCESS_KEY}", "$AWS_SECRET_ACCESS_KEY"])
def test_compose_replaces_variables_of_no_value_of_a_recipe(reference: str) -> None:
    text = written("compose", VLLM.format(name="evil", device=f"'/dev/dri/{reference}'"))
    assert "AWS_SECRET_ACCESS_KEY" in text
    for value in texts(yaml.safe_load(text)):
        own = value.replace("$$", "").replace("${HOME}", "")
        assert "$" not in own, value


@pytest.mark.parametrize("quant", ["Q4'; touch CANARY; '", "Q4'$(touch CANARY)'", "Q4'`touch CANARY`'"])
def test_a_quantisation_runs_nothing_where_the_model_is_fetched(quant: str, tmp_path: Path) -> None:
    text = written("kubernetes", DRAFT.format(quant=quant))
    pods = [item for item in yaml.safe_load_all(text) if item["kind"] == "Deployment"]
    (fetch,) = pods[0]["spec"]["template"]["spec"]["initContainers"]
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("pip", "hf"):
        (folder / name).write_text("#!/bin/sh\nexit 0\n")
        (folder / name).chmod(0o755)
    # Kubernetes takes `$$` for one dollar sign.
    script = fetch["command"][-1].replace("$$", "$")
    path = f"{folder}:/usr/bin:/bin"
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, env={"PATH": path}, check=True, timeout=30)
    assert not (tmp_path / "CANARY").exists()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("quant", ["Q4'; touch CANARY; '", "Q4'$(touch CANARY)'"])
def test_commands_in_comments_can_be_pasted(form: str, quant: str, tmp_path: Path) -> None:
    text = written(form, DRAFT.format(quant=quant))
    lines = [line.partition(": ")[2] for line in text.splitlines() if re.match(r"# .*: hf download ", line)]
    for line in lines:
        subprocess.run(["sh", "-c", line.replace("hf ", "true ", 1)], cwd=tmp_path, check=True, timeout=30)
    assert lines or form == "kubernetes"
    assert not (tmp_path / "CANARY").exists()
