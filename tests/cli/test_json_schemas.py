"""What commands print with `--json` is what the schemas in docs/json say, on the demo cluster and on fake hosts."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from sparkrun_tui.fleet.model import Health
from sparkrun_tui.memory.result import Estimate, Level
from sparkrun_tui.recipe.model import Mode, Severity, SourceKind
from sparkrun_tui.remote.transport import LinkState
from tests.cli.conftest import Cli
from tests.launch.fakes import FakeCluster

FOLDER = Path(__file__).parents[2] / "docs" / "json"
SCHEMAS: dict[str, Any] = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.schema.json"))
}
REGISTRY: Any = Registry().with_resources(
    [(f"{name}.schema.json", Resource.from_contents(schema)) for name, schema in SCHEMAS.items()]
)
RECIPES = sorted(path.stem for path in (FOLDER.parents[1] / "recipes").glob("*.yaml"))


def problems(name: str, data: Any) -> list[str]:
    """What a schema says against the output of a command."""
    found = Draft202012Validator(SCHEMAS[name], registry=REGISTRY).iter_errors(data)
    return [f"{error.json_path}: {error.message}" for error in found]


@pytest.mark.parametrize("name", SCHEMAS)
def test_they_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


def test_list(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.yaml").write_text("model: [\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = cli("list", "--demo", "--json")
    assert problems("list", done.json) == []
    assert {row["name"] for row in done.json} >= set(RECIPES)
    found = cli("search", "qwen", "--demo", "--json")
    assert problems("list", found.json) == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_show_and_its_memory(cli: Cli, recipe: str) -> None:
    assert problems("show", cli("show", recipe, "--demo", "--json").json) == []


@pytest.mark.parametrize("length", ["", "900000"])
def test_vram(cli: Cli, length: str) -> None:
    options = ["-o", f"max_model_len={length}"] if length else []
    data = cli("recipe", "vram", "qwen3-1.7b-vllm", "--demo", "--json", *options).json
    assert problems("recipe-vram", data) == []
    assert bool(data["proposals"]) == bool(length)


def test_vram_of_a_model_that_is_not_known(cli: Cli, solo: str) -> None:
    data = cli("recipe", "vram", solo, "--demo", "--json").json
    assert problems("recipe-vram", data) == []


def test_show_a_recipe_with_problems(cli: Cli, solo: str) -> None:
    path = Path(solo)
    path.write_text(path.read_text(encoding="utf-8") + "\nunknown_field: 1\n", encoding="utf-8")
    data = cli("show", solo, "--demo", "--json").json
    assert problems("show", data) == []
    assert data["problems"]


def test_status_of_the_demo_cluster(cli: Cli) -> None:
    assert problems("status", cli("status", "--demo", "--json").json) == []


def test_status_with_a_workload(cli: Cli, lab: FakeCluster, pair: str) -> None:
    assert cli("run", pair, "-H", "spark-1,spark-2", "--yes").code == 0
    data = cli("status", "-H", "spark-1,spark-2", "--json").json
    assert problems("status", data) == []
    assert data["workloads"]
    lab[2].unreachable = True
    done = cli("status", "-H", "spark-1,spark-2", "--json")
    assert done.code == 3
    assert problems("status", done.json) == []


def test_what_is_not_in_a_schema_is_refused(cli: Cli) -> None:
    data = cli("status", "--demo", "--json").json
    assert problems("status", {**data, "more": 1}) != []
    del data["taken"]
    assert problems("status", data) != []


def test_words_of_the_schemas_are_those_of_the_program() -> None:
    vram, status, show = SCHEMAS["recipe-vram"], SCHEMAS["status"], SCHEMAS["show"]
    assert vram["$defs"]["level"]["enum"] == [str(level) for level in Level]
    host = status["properties"]["hosts"]["items"]["properties"]
    workload = status["properties"]["workloads"]["items"]["properties"]
    assert host["link"]["enum"] == [str(state) for state in LinkState]
    assert workload["health"]["enum"] == [str(health) for health in Health]
    assert show["properties"]["source"]["enum"] == [str(kind) for kind in SourceKind]
    assert show["properties"]["mode"]["enum"] == [str(mode) for mode in Mode]
    assert show["$defs"]["problem"]["properties"]["severity"]["enum"] == [str(severity) for severity in Severity]
    names = {item.name for item in fields(Estimate)} - {"starts", "context", "headroom"}
    assert set(vram["properties"]) == names | {"level", "verdicts"}
