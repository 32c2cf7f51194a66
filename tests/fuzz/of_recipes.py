"""Targets: recipes from the file to the dry run, and the commands that a dry run prints."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import yaml

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.cli.text.recipes import describe, recipe_json
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.plan import ContainerSpec
from sparkrun_tui.launch.plan.containers import create_body, create_command, run_command
from sparkrun_tui.launch.plan.dry_run import as_data, lines, offline_plan
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.sizing import evaluation as judging
from sparkrun_tui.launch.sizing.sizing import size
from sparkrun_tui.recipe.format.export import command_line, exported
from sparkrun_tui.recipe.format.loader import load_bytes
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.recipe.trust import demands
from sparkrun_tui.recipe.values.overrides import render
from tests.fuzz import mutate, recipes
from tests.fuzz.target import Target, handled, insist, timed
from tests.fuzz.tree import Map, to_json, to_yaml, tree

TOKEN = "hf_" + "Zq9x" * 8
ENVIRON = {"HF_TOKEN": TOKEN, "MY_API_KEY": "canary-of-the-key-1", "EDITOR": "vi"}
_OVERRIDES = ("port", "tensor_parallel", "max_model_len", "gpu_memory_utilization", "model", "extra")


class _Nothing:
    """Knows no model: the recipe's own words are all there is."""

    def find(self, model: str, revision: str = "") -> None:
        return None


def recipe(folders: tuple[Path, ...]) -> Target:
    """Files that may be recipes: load, render, validate, demands, show, size, export, plan, dry run."""
    texts = (*recipes.texts(folders), *(text for text in recipes.HEAVY if len(text) < 300))
    documents = [data for data in map(_parsed, texts) if isinstance(data, dict)]
    words = mutate.words_of(documents)

    def make(chance: Random) -> bytes:
        kind = chance.randrange(10)
        if kind < 2:
            return mutate.encoded(to_yaml(mutate.figures(chance, tree(chance.choice(documents)))))
        if kind < 6:
            root = mutate.document(chance, tree(chance.choice(documents)), words)
            if mutate.rare(chance, 12):
                root = mutate.anchors(chance, root)
            return mutate.encoded(to_yaml(root))[: mutate.MOST]
        if kind < 9:
            return mutate.encoded(mutate.text(chance, chance.choice(texts), words))
        return mutate.raw(chance, mutate.encoded(chance.choice(texts)))

    return Target(make, _read, tuple(map(mutate.encoded, (*recipes.HEAVY, *recipes.texts(folders)))))


def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError):
        return None


def _read(data: bytes) -> None:
    with handled():
        _use(timed(load_bytes, data, _source(data)), data)


def _source(data: bytes) -> Source:
    kinds = (SourceKind.REGISTRY, SourceKind.PATH)
    return Source(kinds[zlib.crc32(data) % 2], "/nowhere/recipe.yaml", "registry")


def _use(loaded: Recipe, data: bytes) -> None:
    rendered = timed(render, loaded, {})
    number = zlib.crc32(data)
    key = _OVERRIDES[number % len(_OVERRIDES)]
    typed = {key: mutate.NUMBERS[number % len(mutate.NUMBERS)]}
    timed(validate, loaded, rendered, ENVIRON)
    timed(demands, rendered, ENVIRON)
    judged = timed(judging.evaluate_rendered, rendered, judging.Target())
    insist(not any(found.code == "internal-error" for found in judged.problems), "judging a recipe fails")
    shown = timed(lambda: list(describe(judged)))
    timed(lambda: json.dumps(recipe_json(loaded)))
    timed(size, rendered, (), _Nothing())
    timed(command_line, loaded, typed)
    with handled():
        timed(exported, loaded, typed)
    other = timed(render, loaded, typed)
    timed(validate, loaded, other, ENVIRON)
    insist(not any(TOKEN in line for line in shown), "show prints a secret of this machine")
    for one in (rendered, other):
        with handled():
            _look_at(timed(offline_plan, one, None, "abcdefgh", ENVIRON))


def _look_at(plan: LaunchPlan) -> None:
    """A dry run has no secrets, steers no terminal, and shows what will run."""
    shown = timed(lines, plan)
    everything = "\n".join(shown)
    insist(TOKEN not in everything, "the dry run prints a secret of this machine")
    insist(TOKEN not in json.dumps(timed(as_data, plan)), "the dry run prints a secret of this machine as JSON")
    insist(not any(_steers(line) for line in shown), "the dry run prints a control character")
    if plan.broken:
        # Its commands are comments: nobody is to paste them.
        return
    for text in (command.text for step in plan.steps for command in step.commands):
        if _plain(text) and not _is_secret(text):
            insist(text in everything, "the dry run does not show a command as it is")


def _steers(line: str) -> bool:
    return any(unicodedata.category(char) in ("Cc", "Cs") and char != "\t" for char in line)


def _plain(text: str) -> bool:
    return text.replace("\n", "").replace("\t", "").isprintable()


def _is_secret(text: str) -> bool:
    """Whether a redactor may have something to hide in it: those texts need not come out as they are."""
    return re.search(r"(?i)token|secret|passw|key|credential|hf_|sk-|://|canary|AKIA|gh[pousr]_", text) is not None


def quoting(folders: tuple[Path, ...]) -> Target:
    """Recipes whose fields hold what a shell acts on: the printed `docker run` gives back what Docker is sent."""
    base = _parsed(recipes.ODD[0])
    bare = {key: value for key, value in base.items() if key != "command"}
    seeds = [base, {**bare, "runtime": "sglang"}, {**bare, "runtime": "llama-cpp", "mode": "solo", "min_nodes": 1}]
    seeds += [_parsed(text) for text in recipes.ODD[1:6]]
    payloads = [text for text in mutate.TEXTS if text.isprintable() or "\n" in text]

    def make(chance: Random) -> bytes:
        root = tree(chance.choice(seeds))
        if mutate.rare(chance, 2):
            _add_options(chance, root, payloads)
        found = [place for place in mutate.places(root) if isinstance(place.node, str)]
        for place in chance.sample(found, min(len(found), chance.choice([1, 2, 4]))):
            payload = chance.choice(payloads)
            old = place.node
            cut = chance.randrange(len(old) + 1)
            place.put(chance.choice([payload, old + payload, payload + old, old[:cut] + payload + old[cut:]]))
        return mutate.encoded(to_json(root))

    return Target(make, _read_quoting, tuple(mutate.encoded(to_json(tree(seed))) for seed in seeds))


def _add_options(chance: Random, root: Map, payloads: list[str]) -> None:
    """Container options that pass the forms wanted of them, and hold a payload all the same."""
    payload = chance.choice(payloads)
    options = {
        "volumes": [
            f"/a{payload}:/b",
            f"/a:/b{payload}",
            f"/a:/b:ro{payload}",
            f"~{payload}:/b",
            f"v{payload}:/c:ro,z",
        ],
        "devices": [f"/dev/{payload}"],
        "user": f"1000{payload}",
        "cap_add": [f"SYS_{payload}"],
        "entrypoint": ["env", payload],
        "ulimit": [f"nofile{payload}=1:2"],
        "network": f"net{payload}",
        "ipc": f"container:{payload}",
    }
    chosen = Map([(key, tree(options[key])) for key in chance.sample(sorted(options), chance.choice([1, 2]))])
    env = Map([(f"A{payload}", "1"), ("B", payload), ("C_TOKEN", payload)])
    root.pairs = [pair for pair in root.pairs if pair[0] not in ("executor_config", "env")]
    root.pairs += [("executor_config", chosen), ("env", env)]


def _read_quoting(data: bytes) -> None:
    with suppress(SparkrunError):
        plan = offline_plan(render(load_bytes(data, _source(data)), {}), None, "abcdefgh", ENVIRON)
        for rank in plan.serve.ranks:
            for text in (run_command(rank.container), create_command(rank.container)):
                plain = "".join(_unquoted(text))
                insist(_QUIET.fullmatch(plain) is not None, "a printed command holds what a shell acts on, unquoted")
                if not plan.errors:
                    _compare(text, rank.container)


_ONE = ("--name", "--network", "--ipc", "--shm-size", "--user", "--entrypoint", "--gpus", "--log-driver")
_MANY = ("-e", "-v", "-p", "--ulimit", "--device", "--cap-add", "--label", "--log-opt")


def _compare(text: str, spec: ContainerSpec) -> None:
    """The words that a shell makes of a printed command are what Docker's daemon is sent for the same container."""
    words = shlex.split(_joined(text))
    given: dict[str, list[str]] = {name: [] for name in (*_ONE, *_MANY)}
    at = 2
    while at < len(words) and words[at].startswith("-"):
        if words[at] in given:
            given[words[at]].append(words[at + 1])
            at += 1
        at += 1
    body = create_body(spec)
    host = body["HostConfig"]
    insist(words[at : at + 1] == [spec.image], "the image of a printed command is another")
    insist(given["--name"] == [spec.name], "the name of a printed command is another")
    insist(given["-e"] == [*body["Env"], *spec.secret_env], "the variables of a printed command are others")
    insist(given["-v"] == [_at_home(bind) for bind in host["Binds"]], "the mounts of a printed command are others")
    insist(given["--cap-add"] == host["CapAdd"], "the capabilities of a printed command are others")
    insist(given["--device"] == list(spec.devices), "the devices of a printed command are others")
    insist(given["--network"] == [host["NetworkMode"]], "the network of a printed command is another")
    insist(given["--ipc"] == [host["IpcMode"]], "the IPC of a printed command is another")
    insist(given["--user"] == ([spec.user] if spec.user else []), "the user of a printed command is another")
    insist(len(given["--ulimit"]) == len(host["Ulimits"]), "the limits of a printed command are others")
    labels = [f"{name}={value}" for name, value in body["Labels"].items()]
    insist(given["--label"] == labels, "the labels of a printed command are others")
    insist(
        given["--entrypoint"] == list(spec.entrypoint[:1] or ["bash"]), "the program of a printed command is another"
    )


def _at_home(bind: str) -> str:
    return re.sub(r"^~(?=[/:]|$)", "$HOME", bind)


_QUIET = re.compile(r"[A-Za-z0-9 _./:=,+@%^-]*")
_PIECES = re.compile(r"""(?P<quoted>'[^']*'|"'"|"\$HOME")|(?P<joint>\\\n)|(?P<plain>.)""", re.DOTALL)
"""What a printed command is made of: words in single quotes, a single quote in double ones, the home, and line ends."""


def _unquoted(text: str) -> Iterable[str]:
    """The characters of a command that a shell may act on: those outside of quotes."""
    return (piece["plain"] or "" for piece in _PIECES.finditer(text))


def _joined(text: str) -> str:
    """The command on one line where its line breaks are only for the reader; `shlex` would keep them."""
    return "".join(piece["quoted"] or piece["plain"] or "" for piece in _PIECES.finditer(text))
