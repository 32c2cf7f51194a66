"""Every bundled recipe: complete, valid, renders, can be planned on its number of hosts, and its memory is known."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.plan import HostView
from sparkrun_tui.engines.registry import engine_for
from sparkrun_tui.launch.plan.dry_run import lines
from sparkrun_tui.launch.plan.plan import LaunchPlan, build_plan
from sparkrun_tui.launch.sizing.sizing import size
from sparkrun_tui.memory.result import Level
from sparkrun_tui.recipe.format.loader import load_file
from sparkrun_tui.recipe.model import Recipe, Severity, Source, SourceKind
from sparkrun_tui.recipe.names.images import parse_image
from sparkrun_tui.recipe.values.overrides import render

FILES = sorted(paths.bundled_recipes().rglob("*.yaml"))
_PLACEHOLDER = re.compile(r"(?<![$\w{])\{[A-Za-z_][\w-]*\}")

each_recipe = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def load(path: Path) -> Recipe:
    recipe = load_file(path, Source(SourceKind.BUNDLED, str(path)))
    assert isinstance(recipe, Recipe), recipe.error
    return recipe


def plan_of(recipe: Recipe, count: int) -> LaunchPlan:
    hosts = [
        HostView(
            name=f"spark-{number}",
            address=f"10.0.0.{number}",
            home="/home/ada",
            hf_cache="/home/ada/.cache/huggingface",
            app_cache="/home/ada/.cache/sparkrun-tui",
            interface="enP7s7",
            has_infiniband=True,
            probed=True,
        )
        for number in range(1, count + 1)
    ]
    cluster = Cluster(name="lab", hosts=tuple(host.name for host in hosts))
    return build_plan(render(recipe, {}), cluster, hosts, launch_id="abcd2345")


@each_recipe
def test_it_is_valid_without_a_warning(path: Path) -> None:
    found = validate(load(path), env={})
    assert [problem for problem in found if problem.severity is not Severity.NOTE] == []


@each_recipe
def test_its_metadata_is_complete(path: Path) -> None:
    recipe = load(path)
    meta = recipe.metadata
    assert meta.description and 20 <= len(meta.description) <= 100
    assert meta.maintainer == "sparkrun-tui"
    assert meta.model_params and meta.model_dtype and meta.kv_dtype
    assert meta.num_layers and meta.num_kv_heads and meta.head_dim
    assert recipe.command is not None
    assert recipe.max_nodes is not None


@each_recipe
def test_its_image_is_pinned_to_a_version(path: Path) -> None:
    image = parse_image(load(path).container)
    assert image is not None
    assert image.digest or re.search(r"\d", image.tag)
    assert image.tag not in ("latest", "nightly", "main")


@each_recipe
def test_it_can_be_planned_on_its_number_of_hosts(path: Path) -> None:
    recipe = load(path)
    plan = plan_of(recipe, 4)
    assert len(plan.hosts) == recipe.min_nodes
    assert [problem for problem in plan.problems if problem.severity is not Severity.NOTE] == []
    assert plan.serve.ready.port == render(recipe, {}).get("port")
    assert plan.serve.ready.served_name == render(recipe, {}).get("served_model_name")


@each_recipe
def test_its_dry_run_leaves_nothing_open(path: Path) -> None:
    recipe = load(path)
    text = "\n".join(lines(plan_of(recipe, recipe.min_nodes)))
    assert recipe.model.partition(":")[0] in text
    if recipe.runtime == "eugr-vllm":
        # The scripts that it is handed to substitute by themselves, from defaults that stand in the same file.
        start = text.index("recipe_version:")
        defaults = text.index("defaults:", start)
        open_keys = {match[1:-1] for match in _PLACEHOLDER.findall(text)} - {"model"}
        assert open_keys <= set(re.findall(r"^\s+([\w-]+):", text[defaults:], re.MULTILINE))
    else:
        assert _PLACEHOLDER.findall(text) == []


@each_recipe
def test_its_memory_is_known_and_enough(path: Path) -> None:
    recipe = load(path)
    rendered = render(recipe, {})
    estimate = size(rendered, ())
    assert len(estimate.hosts) == recipe.min_nodes
    assert estimate.level in (Level.GOOD, Level.TIGHT), (estimate.starts, estimate.context, estimate.headroom)
    assert estimate.weights_bytes
    assert not [note for note in estimate.notes if note.startswith("the recipe says")]


@each_recipe
def test_its_name_says_its_engine_and_hosts(path: Path) -> None:
    recipe = load(path)
    ending = {"llama-cpp": "llama-cpp", "eugr-vllm": "eugr", "sglang": "sglang", "vllm": "vllm"}[recipe.runtime]
    assert path.stem.endswith(f"-{ending}")
    hosts = f"-{recipe.min_nodes}x-"
    assert (hosts in path.stem) == (recipe.min_nodes > 1)
    words = {1: "on one Spark|Spark", 2: "over two Sparks", 3: "over three Sparks", 4: "over four Sparks"}
    assert recipe.min_nodes == 1 or re.search(words[recipe.min_nodes], recipe.metadata.description)


def test_there_are_recipes_for_every_engine_and_for_one_to_four_hosts() -> None:
    recipes = [load(path) for path in FILES]
    assert len(recipes) >= 30
    engines = Counter(recipe.runtime for recipe in recipes)
    assert set(engines) == {"vllm", "sglang", "llama-cpp", "eugr-vllm"}
    assert min(engines.values()) >= 3
    assert {recipe.min_nodes for recipe in recipes} == {1, 2, 3, 4}
    assert all(engine_for(recipe.runtime).host_count(render(recipe, {}), 8, 1)[0] <= 4 for recipe in recipes)


def test_names_and_descriptions_are_told_apart() -> None:
    recipes = [load(path) for path in FILES]
    assert len({recipe.name for recipe in recipes}) == len(recipes)
    assert len({recipe.metadata.description for recipe in recipes}) == len(recipes)


def test_files_are_plain_yaml_with_unix_line_ends() -> None:
    for path in FILES:
        raw = path.read_bytes()
        assert b"\r" not in raw and b"\t" not in raw and raw.endswith(b"\n") and not raw.endswith(b"\n\n")
        assert isinstance(yaml.safe_load(raw), dict)
