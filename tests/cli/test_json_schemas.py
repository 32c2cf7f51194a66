"""What every command prints with `--json` is what the schemas in docs/json say: empty, with errors, and on the demo.

The `cli` of conftest.py checks every output of every test; here each command prints one at least.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from sparkrun_tui.cli.shapes.outputs import OUTPUTS
from tests.cli.conftest import Cli, Done
from tests.launch.fakes import SOLO, FakeCluster
from tests.support import json_schemas
from tests.support.json_outputs import FOLDER, LINES, commands, has_json, problems, schema
from tests.support.programs import need
from tests.support.stored import store_model

RECIPES = sorted(path.stem for path in (FOLDER.parents[1] / "recipes").glob("*.yaml"))
COMMANDS = dict(commands())
NO_JSON = {
    "completion": "a script of a shell, which evaluates it",
    "demo-story": "a story, told while it happens",
}
"""Commands whose output is nothing for a program to take apart."""
BOTH = ("-H", "spark-1,spark-2")
NUMBER = {"integer", "number"}


# --- the schemas -------------------------------------------------------------------------------------------------


def test_they_are_written_from_the_shapes() -> None:
    """When this fails: `./dev schemas`."""
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == json_schemas.schemas()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_prints_has_json_and_a_schema(command: str) -> None:
    assert has_json(COMMANDS[command]) != (command in NO_JSON), f"`{command}` has no --json"
    if has_json(COMMANDS[command]):
        schema(command)
        assert command in OUTPUTS


def test_no_schema_is_left_of_a_command_that_is_gone() -> None:
    assert {name.partition(" --")[0] for name in OUTPUTS} | set(NO_JSON) == set(COMMANDS)
    assert {name for name, shape in OUTPUTS.items() if shape.lines} == LINES


@pytest.mark.parametrize("command", OUTPUTS)
def test_objects_are_closed_and_every_number_has_a_unit(command: str) -> None:
    for definition in schema(command).schema["$defs"].values():
        assert definition["additionalProperties"] is False
        assert definition["required"] == list(definition["properties"])
        for name, field in definition["properties"].items():
            kinds = field.get("type", [])
            if {kinds} & NUMBER if isinstance(kinds, str) else set(kinds) & NUMBER:
                assert "x-unit" in field, name


def test_the_page_names_every_schema_and_every_unit() -> None:
    page = (FOLDER.parent / "json.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(json/([a-z-]+\.schema\.json)\)", page)) == {path.name for path in FOLDER.iterdir()}
    units = set(re.findall(r'"x-unit": "([^"]+)"', "".join(json_schemas.schemas().values())))
    assert units == set(re.findall(r"^\| `([^`]+)` \| [A-Z]", page, flags=re.MULTILINE))


def test_what_is_not_in_a_schema_is_refused(cli: Cli) -> None:
    data = cli("status", "--demo", "--json").json
    assert problems("status", json.dumps(data)) == []
    assert problems("status", json.dumps({**data, "more": 1})) != []
    del data["taken"]
    assert problems("status", json.dumps(data)) != []


# --- real outputs ------------------------------------------------------------------------------------------------


def test_recipes_that_are_found_and_one_that_is_broken(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.yaml").write_text("model: [\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert {row["name"] for row in cli("list", "--demo", "--json").json} >= set(RECIPES)
    assert cli("search", "qwen", "--demo", "--json").json
    assert cli("search", "nothing-is-called-so", "--json").json == []
    assert cli("recipe", "validate", "broken.yaml", "--json").json[0]["severity"] == "error"
    assert cli("recipe", "validate", RECIPES[0], "--json").json == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_show_and_its_memory(cli: Cli, recipe: str) -> None:
    assert cli("show", recipe, "--demo", "--json").json["memory"]["hosts"]


@pytest.mark.parametrize("length", ["", "900000"])
def test_vram(cli: Cli, length: str) -> None:
    options = ["-o", f"max_model_len={length}"] if length else []
    data = cli("recipe", "vram", "qwen3-1.7b-vllm", "--demo", "--json", *options).json
    assert bool(data["proposals"]) == bool(length)
    assert data["speed"]["prefill"]["likely"] > data["speed"]["decode"]["likely"]


def test_a_recipe_that_is_not_known_and_has_problems(cli: Cli, solo: str) -> None:
    path = Path(solo)
    path.write_text(path.read_text(encoding="utf-8") + "\nunknown_field: 1\n", encoding="utf-8")
    assert cli("recipe", "vram", solo, "--demo", "--json").json["weights_bytes"] is None
    assert cli("show", solo, "--demo", "--json").json["problems"]


def test_recipes_that_are_written(cli: Cli, solo: str, tmp_path: Path) -> None:
    new = cli("recipe", "new", "Qwen/Qwen3-1.7B", "--offline", "--json").json
    assert "Qwen/Qwen3-1.7B" in new["files"]["recipe.yaml"] and new["written"] == []
    target = tmp_path / "out.yaml"
    written = cli("recipe", "export", solo, "--as", "kubernetes", "--output", str(target), "--json").json
    assert written["written"] == [str(target)]
    assert list(written["files"].values()) == [target.read_text(encoding="utf-8")]
    assert cli("recipe", "export", solo, "--output", str(target), "--json").out == ""


def test_what_is_empty(cli: Cli, lab: FakeCluster) -> None:
    assert cli("history", "--json").json == []
    assert cli("history", "list", "--json").json == []
    assert cli("cluster", "list", "--json").json == []
    assert cli("status", *BOTH, "--json").json["workloads"] == []
    assert cli("stop", "--all", *BOTH, "--json").json == []
    assert cli("registry", "list", "--json").json
    assert cli("config", "path", "--json").json["settings"].endswith("config.yaml")


@pytest.mark.parametrize(
    "words",
    ["show nothing", "history show nothing", "cluster show nothing", "recipe vram nothing", "snippet nothing --demo"],
)
def test_a_command_that_fails_prints_no_json(cli: Cli, words: str) -> None:
    done = cli(*words.split(), "--json")
    assert done.code in (1, 2) and done.out == "" and done.err


def _chunk(key: str, text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {key: text}}]}).encode() + b"\n\n"


def test_the_life_of_a_launch(cli: Cli, lab: FakeCluster, pair: str, tmp_path: Path) -> None:
    plan = cli("run", pair, *BOTH, "--dry-run", "--json").json
    assert plan["runnable"]
    events = cli("run", pair, *BOTH, "--json").events
    assert {"began", "step", "status", "endpoint"} <= {event["kind"] for event in events}
    launch_id = events[0]["launch_id"]
    assert [item["launch_id"] for item in cli("status", *BOTH, "--json").json["workloads"]] == [launch_id]
    assert {line["kind"] for line in cli("logs", "pair", *BOTH, "--json").events} == {"log"}
    assert cli("snippet", "pair", *BOTH, "--json").json["kind"] == "curl"
    lab.answer = [_chunk("reasoning_content", "They greet."), _chunk("content", "Hello"), b"data: [DONE]\n\n"]
    answer = cli("ask", "pair", "Hello", *BOTH, "--json")
    assert (answer.code, answer.json["text"], answer.json["reasoning"]) == (0, "Hello", "They greet.")
    past = cli("history", "show", launch_id, "--json").json
    assert past["hosts"] == ["spark-1", "spark-2"] and past["size"] > 0
    replayed = cli("history", "replay", launch_id, "--speed", "0", "--logs", "--json").events
    assert {"began", "log"} <= {event["kind"] for event in replayed}
    exported = cli("history", "export", launch_id, "--as", "systemd", "--json").json
    assert list(exported["files"]) == ["pair-0.service", "pair-1.service"]
    assert cli("diagnose", launch_id, "--json").json == []
    lab[2].unreachable = True
    assert cli("status", *BOTH, "--json").code == 3
    (unclear,) = cli("stop", launch_id, *BOTH, "--json").json
    assert not unclear["complete"]
    lab[2].unreachable = False
    (stopped,) = cli("stop", "--all", *BOTH, "--yes", "--json").json
    assert stopped["complete"] and {rank["outcome"] for rank in stopped["ranks"]} == {"stopped"}


def test_a_lease_that_is_ended(cli: Cli, lab: FakeCluster) -> None:
    lab[2].lease = "dead2345"
    assert cli("status", *BOTH, "--json").json["hosts"][1]["preparing"]["launch_id"] == "dead2345"
    (ended,) = cli("stop", "dead2345", *BOTH, "--yes", "--json").json
    assert ended["launch_id"] == "dead2345" and ended["ranks"] == []


def test_a_failed_start_is_explained(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n", encoding="utf-8")
    (cause, *_) = cli("diagnose", str(log), "--engine", "vllm", "--json").json
    assert cause["title"]


def test_hosts_that_answer_and_one_that_does_not(cli: Cli, lab: FakeCluster) -> None:
    lab[2].unreachable = True
    checked = cli("cluster", "check", *BOTH, "--json")
    assert checked.code == 3
    assert [host["error"] is None for host in checked.json] == [True, False]
    assert all(host["error"] is None for host in cli("cluster", "check", "--demo", "--json").json)


def test_clusters(cli: Cli) -> None:
    assert cli("cluster", "add", "lab", "spark-1,spark-2", "--json").json["default"] is True
    assert cli("cluster", "use", "lab", "--json").json["hosts"] == ["spark-1", "spark-2"]
    assert cli("cluster", "show", "lab", "--json").json["guard_floor"] is None
    assert len(cli("cluster", "list", "--json").json) == 1
    assert cli("cluster", "remove", "lab", "--json").json == {"name": "lab"}


def test_registries(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "tiny.yaml").write_text(SOLO, encoding="utf-8")
    names = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "x")):
        subprocess.run([need("git"), "-C", str(folder), *names, *words], check=True, capture_output=True)
    added = cli("registry", "add", str(folder), "--name", "team", "--json").json
    assert added["recipes"] == 1 and len(added["commit"]) == 40
    assert cli("registry", "disable", "team", "--json").json["enabled"] is False
    assert cli("registry", "enable", "team", "--json").json["enabled"] is True
    (updated,) = cli("registry", "update", "team", "--json").json
    assert updated["error"] is None and updated["added"] == []
    assert cli("registry", "remove", "team", "--json").json == {"name": "team"}


@pytest.mark.parametrize("what", ["models", "images"])
def test_stores(cli: Cli, what: str) -> None:
    assert cli(what, "--demo", "--json").json[what]
    assert cli(what, "list", "--demo", "--json").json[what]
    assert cli(what, "verify", "--demo", "--json").json["checked"]
    pruned: Done = cli(what, "prune", "--demo", "--unused", "--yes", "--json")
    assert {"offered", "stays", "removed", "freed"} <= set(pruned.json)


def test_a_model_on_this_machine(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert cli("models", "--here", "--json").json["models"] == []
    store_model(tmp_path / "hub", "acme/tiny")
    (model,) = cli("models", "--here", "--json").json["models"]
    assert model["model"] == "acme/tiny"


def test_a_run_of_the_demo(cli: Cli) -> None:
    failed = cli("run", "qwen3-1.7b-vllm", "--demo", "--json", "-o", "max_model_len=900000000")
    assert failed.code in (1, 2)
