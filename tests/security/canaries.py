"""A person's machine with a secret in every place that has one, and a watch over all that starts and is written."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.user.settings import load_settings
from sparkrun_tui.recipe.search.sources import find_recipe
from sparkrun_tui.recipe.values.saved_overrides import save_overrides
from tests.launch.fakes import IMAGE, FakeContainer, FakeHost

CANARIES = {
    name: f"canary-{name}-Zq8vT3"
    for name in (
        "file", "env", "url", "typed", "saved", "settings", "hub", "environ", "literal", "foreign", "registry",
        "address",
    )
}  # fmt: skip

KEYED = f"""\
name: keyed
model: org/tiny
runtime: vllm
container: {IMAGE}
mode: solo
defaults:
  port: 8000
  served_model_name: tiny
  api_key: {CANARIES["file"]}
  inner: {{password: {CANARIES["file"]}}}
env:
  HF_TOKEN: ${{HF_TOKEN}}
  OTHER_TOKEN: ${{SERVICE_TOKEN}}
  SERVICE_SECRET: {CANARIES["env"]}
  MIRROR: https://user:{CANARIES["url"]}@mirror.test/x
command: |
  vllm serve {{model}} --port {{port}} --served-model-name {{served_model_name}} --gpu-memory-utilization 0.5 \\
    --api-key {{api_key}} --extra '{{extra_token}}'
pre_exec: ["echo {{api_key}} >/dev/null"]
post_exec: ["echo {{api_key}} >/dev/null"]
"""
LITERAL = KEYED.replace("name: keyed", "name: literal").replace(
    "--api-key {api_key}", f"--api-key {CANARIES['literal']}"
)
SGLANG = f"""\
name: sg
model: org/tiny
runtime: sglang
container: {IMAGE}
defaults: {{port: 30000, served_model_name: tiny, admin_api_key: {CANARIES["file"]}}}
command: >-
  python3 -m sglang.launch_server --model-path {{model}} --port {{port}} --served-model-name {{served_model_name}}
  --max-running-requests 4 --api-key {CANARIES["literal"]} --admin-api-key {{admin_api_key}}
"""
FOREIGN = f"""\
recipe_version: "1"
name: foreign
model: org/tiny
container: vllm-node
defaults: {{port: 8000, api_key: {CANARIES["foreign"]}}}
env: {{SERVICE_TOKEN: "{CANARIES["foreign"]}"}}
command: vllm serve org/tiny --port {{port}} --api-key {{api_key}}
"""
REGISTRY = KEYED.replace("name: keyed", "name: shared").replace(CANARIES["file"], CANARIES["registry"])
NAMES = ("keyed", "literal", "sg", "foreign")


@dataclass(slots=True)
class Machine:
    """Where things lie, and what was seen of child processes."""

    home: Path
    recipes: Path
    repository: Path
    started: list[str] = field(default_factory=list)
    """The argument lists of all children, each as one text."""

    @property
    def allowed(self) -> list[Path]:
        """The places that hold a secret because the person or somebody else wrote it there."""
        own = [paths.config_dir() / "config.yaml", paths.config_dir() / "registries.yaml", self.recipes]
        kept = [paths.state_dir() / "overrides", paths.cache_dir() / "registries", self.repository]
        return [*own, *kept, self.home / ".gitconfig"]


def leaked(text: str) -> list[str]:
    """Which canaries stand in a text."""
    return [name for name, value in CANARIES.items() if value in text]


def furnish(home: Path, below: Path, hosts: tuple[str, ...]) -> Machine:
    """Write recipes, settings, saved overrides and a registry, with a secret in each."""
    recipes, repository = below / "recipes", below / "repository"
    recipes.mkdir()
    for name, text in zip(NAMES, (KEYED, LITERAL, SGLANG, FOREIGN), strict=True):
        (recipes / f"{name}.yaml").write_text(text)
    config = paths.config_dir()
    config.mkdir(parents=True)
    body = {
        "defaults": {"extra_token": CANARIES["settings"]},
        "recipe_dirs": [str(recipes)],
        "clusters": {"lab": list(hosts)},
    }
    (config / "config.yaml").write_text(yaml.safe_dump(body))
    address = f"https://user:{CANARIES['address']}@127.0.0.1:9/x.git"
    (config / "registries.yaml").write_text(yaml.safe_dump({"registries": [{"name": "mine", "url": address}]}))
    (home / ".gitconfig").write_text(f"[http]\n\tproxy = http://user:{CANARIES['address']}@127.0.0.1:9\n")
    save_overrides(find_recipe("literal", load_settings()), {"api_key": CANARIES["saved"]})
    _commit(repository, {"recipes/shared.yaml": REGISTRY})
    return Machine(home, recipes, repository)


def _commit(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    who = ["-c", "user.name=x", "-c", "user.email=x@x.test", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


async def tells_all(host: FakeHost, container: FakeContainer) -> int:
    """An engine that prints all that it was given, before and after it serves."""
    port = int(container.info.labels["io.sparkrun-tui.port"])
    for _ in range(4):
        host.say(container, f"engine: {container.files.get('/run/sparkrun/env', '')!r}")
        host.say(container, f"non-default args: {{'api_key': ['{CANARIES['typed']}'], 'port': {port}}}")
        for line in shlex.split(container.files.get("/run/sparkrun/env", "")):
            host.say(container, f"plain {line.partition('=')[2]}")
        for value in CANARIES.values():
            host.say(container, f"args: --api-key {value} and again api_key='{value}'", "stderr")
        await asyncio.sleep(2)
        host.open(port, container.info.labels["io.sparkrun-tui.served"])
    await asyncio.sleep(10_000_000)
    return 0


def holding_files(folder: Path, allowed: list[Path]) -> dict[str, list[str]]:
    """The files below a folder that hold canaries, by the canaries, other than those in allowed places."""
    found = {}
    for path in folder.rglob("*"):
        if not path.is_file() or any(path.is_relative_to(place) for place in allowed):
            continue
        names = leaked(path.read_bytes().decode(errors="replace"))
        if names:
            found[str(path.relative_to(folder))] = names
    return found


_watching: list[list[str]] = []


def _heard(event: str, arguments: tuple[object, ...]) -> None:
    """Every way of Python to start a program raises one of these, below `subprocess` and `asyncio` as well."""
    if not _watching:
        return
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn"):
        words = arguments[1] if event != "os.spawn" else arguments[2]
        _watching[-1].append(repr(words))
    elif event == "os.system":
        _watching[-1].append(repr(arguments[0]))


sys.addaudithook(_heard)


@contextmanager
def children_watched(started: list[str]) -> Iterator[None]:
    """Write down the arguments of every program that is started meanwhile, by whatever code."""
    _watching.append(started)
    try:
        yield
    finally:
        _watching.remove(started)
