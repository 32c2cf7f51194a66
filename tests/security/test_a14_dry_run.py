"""A14: a dry run is safe to paste, whatever stands in any field of a recipe; the paste is really run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.launch.plan import dry_run as dryrun
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.values.overrides import render
from tests.support.shell_stubs import PAYLOADS, Sandbox

LONG = bool(os.environ.get("SPARKRUN_TUI_LONG"))

Recipe = dict[str, Any]

BASES: dict[str, tuple[int, Recipe]] = {
    "vllm": (1, {
        "name": "n", "model": "org/m", "runtime": "vllm", "container": "a/b:1",
        "defaults": {"port": 8000, "served_model_name": "s"},
        "command": "vllm serve {model} --port {port} --served-model-name {served_model_name}",
    }),
    "built": (1, {"name": "n", "model": "org/m", "runtime": "vllm", "container": "a/b:1", "defaults": {"port": 8000}}),
    "sglang": (2, {
        "name": "n", "model": "org/m", "runtime": "sglang", "container": "a/b:1", "min_nodes": 2,
        "command": "python3 -m sglang.launch_server --model-path {model}",
    }),
    "ray": (2, {
        "name": "n", "model": "org/m", "runtime": "vllm-ray", "container": "a/b:1", "min_nodes": 2,
        "command": "vllm serve {model}",
    }),
    "llama": (2, {
        "name": "n", "model": "org/m-GGUF:Q4_K_M", "runtime": "llama-cpp", "container": "a/b:1", "min_nodes": 2,
        "command": "llama-server -hf {model} --port 80",
    }),
    "eugr": (2, {
        "name": "n", "model": "org/m", "runtime": "eugr-vllm", "container": "a/b:1", "min_nodes": 2,
        "defaults": {"port": 8000}, "env": {"API_TOKEN": "x"}, "command": "vllm serve {model} --port {port}",
    }),
}  # fmt: skip


def put(*path: str | int) -> Callable[[Recipe, Any], None]:
    """Sets a value below a recipe."""

    def do(recipe: Recipe, value: Any) -> None:
        place: Any = recipe
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value

    return do


def option(key: str, form: str = "{}", many: bool = True) -> Callable[[Recipe, Any], None]:
    """Sets an option of the container to a text with the value in it."""

    def do(recipe: Recipe, value: Any) -> None:
        text = form.replace("{}", value)
        recipe.setdefault("executor_config", {})[key] = [text] if many else text

    return do


def key_of(*path: str) -> Callable[[Recipe, Any], None]:
    """Uses the value as a key."""

    def do(recipe: Recipe, value: Any) -> None:
        place: Any = recipe
        for key in path:
            place = place.setdefault(key, {})
        place[value] = "x"

    return do


EVERYWHERE: dict[str, Callable[[Recipe, Any], None]] = {
    "name": put("name"), "model": put("model"), "container": put("container"), "command": put("command"),
    "env value": put("env", "E"), "env name": key_of("env"),
}  # fmt: skip
MORE: dict[str, Callable[[Recipe, Any], None]] = {
    "model_revision": put("model_revision"), "runtime": put("runtime"), "description": put("description"),
    "maintainer": put("maintainer"), "metadata": put("metadata", "description"), "port": put("defaults", "port"),
    "served name": put("defaults", "served_model_name"), "default": put("defaults", "max_model_len"),
    "default name": key_of("defaults"), "list": lambda r, v: put("defaults", "max_num_seqs")(r, [v, {"a": v}]),
    "secret value": put("env", "API_TOKEN"), "secret name": lambda r, v: put("env", f"{v}_TOKEN")(r, "x"),
    "volume source": option("volumes", "/{}:/t"), "volume target": option("volumes", "/s:/{}"),
    "volume option": option("volumes", "/s:/t:ro{}"), "volume name": option("volumes", "{}:/t"),
    "volume at home": option("volumes", "~/{}:/t"), "device": option("devices", "/dev/{}"),
    "capability": option("cap_add"), "limit": option("ulimits", "{}=1"), "limit value": option("ulimits", "nofile={}"),
    "size": option("shm_size", many=False), "user": option("user", many=False),
    "network": option("network", many=False),
    "ipc": option("ipc", many=False), "entrypoint": option("entrypoint"), "unknown option": key_of("executor_config"),
    "pre_exec": lambda r, v: put("pre_exec")(r, [v]), "post_exec": lambda r, v: put("post_exec")(r, [v]),
    "copied": lambda r, v: put("pre_exec")(r, [{"copy": v, "dest": "/opt"}]),
    "copied to": lambda r, v: put("pre_exec")(r, [{"copy": "file", "dest": f"/{v}"}]),
    "mod": lambda r, v: put("mods")(r, [v]), "build argument": lambda r, v: put("build_args")(r, [v]),
}  # fmt: skip
FIELDS = [
    *((base, name, field) for base in BASES for name, field in EVERYWHERE.items()),
    *(("vllm", name, field) for name, field in MORE.items()),
    *(
        ("eugr", name, MORE[name])
        for name in (
            "secret value",
            "secret name",
            "mod",
            "build argument",
            "volume source",
            "size",
            "pre_exec",
            "port",
        )
    ),
    *(("built", name, MORE[name]) for name in ("served name", "default", "port", "list")),
]


def cases() -> Iterator[tuple[str, str, Callable[[Recipe, Any], None], str]]:
    """Fields and payloads: all pairs, or in a short run one payload for each field."""
    for number, (base, name, field) in enumerate(FIELDS):
        for payload in PAYLOADS if LONG else (PAYLOADS[number * 11 % 40],):
            yield base, name, field, payload


def dry_run(base: str, field: Callable[[Recipe, Any], None], payload: str, folder: Path) -> LaunchPlan:
    """The plan of a recipe with a payload in one field."""
    count, plain = BASES[base]
    recipe: Recipe = yaml.safe_load(yaml.safe_dump(plain))
    field(recipe, payload)
    text = yaml.safe_dump(recipe, allow_unicode=True)
    rendered = render(load_text(text, Source(SourceKind.USER, str(folder / "r.yaml"))), {})
    hosts = tuple(f"spark-{number}" for number in range(1, count + 1))
    return dryrun.offline_plan(rendered, Cluster("lab", hosts), "abcd2345", {})


def pasted(plan: LaunchPlan) -> str:
    """The lines of the dry run, without what would end the shell half-way or wait for what never comes."""
    text = "\n".join(dryrun.lines(plan)) + "\n"
    text = text.replace("set -eu\n", "").replace("    exit 1\n", "    false\n").replace("exit 143", "false")
    return text.replace("until bash -c", "if bash -c").replace("; do sleep 1; done", "; then :; fi")


def test_a_dry_run_with_a_hostile_field_runs_nothing(tmp_path: Path) -> None:
    assert len(FIELDS) >= 52
    sandbox = Sandbox(tmp_path / "box")
    (tmp_path / "file").write_text("x")
    count = refused = 0
    wrong: list[str] = []
    for base, name, field, payload in cases():
        count += 1
        try:
            text = pasted(dry_run(base, field, payload, tmp_path))
        except SparkrunError:
            refused += 1
            continue
        ran = sandbox.run(text)
        if ran.canary or ran.unbalanced:
            wrong.append(f"{base}, {name}, {payload!r}: ran {ran.canary}, unbalanced {ran.unbalanced}\n{text}")
    print(f"{count} cases, {refused} refused, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong[:4])


@pytest.mark.parametrize("word", ["ro;touch x", "ro,exec", "$(canary)", "rw,Z2"])
def test_only_dockers_own_words_end_a_volume(word: str, tmp_path: Path) -> None:
    plan = dry_run("vllm", option("volumes", "/data:/data:{}"), word, tmp_path)
    assert any(problem.code == "volume-option" for problem in plan.errors)
    shown = "\n".join(line for line in dryrun.lines(plan) if not line.startswith("#"))
    assert word not in shown


def test_the_usual_ends_of_volumes_stay(tmp_path: Path) -> None:
    plan = dry_run("vllm", option("volumes", "/data:/data:{}"), "ro,Z,rshared", tmp_path)
    assert not [problem for problem in plan.errors if problem.code == "volume-option"]
    assert "-v /data:/data:ro,Z,rshared" in "\n".join(dryrun.lines(plan))


def test_a_file_whose_name_is_an_option_is_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from elsewhere")
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "list").write_text(f"{secret}\n")
    (folder / "--files-from=list").write_text("mine")
    plan = dry_run("vllm", MORE["copied"], "--files-from=list", folder)
    (pack,) = [
        command.text.partition(" | ssh ")[0]
        for step in plan.steps
        for command in step.commands
        if command.text.startswith("tar ")
    ]
    out = tmp_path / "out"
    out.mkdir()
    assert os.system(f"cd {folder} && {pack} | tar -C {out} -xf -") == 0
    files = [path for path in out.rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["--files-from=list"] and files[0].read_text() == "mine"
