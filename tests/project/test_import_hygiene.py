"""What importing a module drags in: the engine stays headless, and the command line starts without heavy libraries."""

from __future__ import annotations

import ast
import json
import pkgutil
import subprocess
import sys

import pytest

import sparkrun_tui
from sparkrun_tui.base.user.settings import Settings, config_file
from sparkrun_tui.ui.model.catalog import Catalog
from sparkrun_tui.ui.model.first_rows import FirstRows, keep_first_rows
from sparkrun_tui.ui.model.rows import RecipeRow
from sparkrun_tui.ui.model.state import AppState
from tests.project.test_repo import ROOT, sources

FACES = ("sparkrun_tui.cli", "sparkrun_tui.ui", "sparkrun_tui.__main__")
FACE_LIBRARIES = ("textual", "rich", "click")

# Imports the modules named on stdin in order and tells after which one each watched library was first there.
PROBE = """
import importlib, json, sys
modules, watched = json.load(sys.stdin)
seen = {}
for module in modules:
    importlib.import_module(module)
    for library in watched:
        if library in sys.modules:
            seen.setdefault(library, module)
json.dump(seen, sys.stdout)
"""


def first_importers(modules: list[str], watched: tuple[str, ...]) -> dict[str, str]:
    """Each watched library that a fresh interpreter has loaded after these imports, with the module that brought it."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps([modules, watched]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded: dict[str, str] = json.loads(done.stdout)
    return loaded


def all_modules() -> list[str]:
    """Every module of the package, found on disk."""
    return [m.name for m in pkgutil.walk_packages(sparkrun_tui.__path__, "sparkrun_tui.")]


def below_the_faces() -> list[str]:
    """Every module that is part of neither face."""
    return [name for name in all_modules() if not name.startswith(FACES)]


def test_the_engine_is_found() -> None:
    packages = {name.split(".")[1] for name in below_the_faces()}
    assert {"base", "recipe", "models", "memory", "engines", "remote", "launch", "fleet", "demo"} <= packages


def test_engine_modules_load_no_face_library() -> None:
    assert first_importers(below_the_faces(), FACE_LIBRARIES) == {}


def test_every_module_can_be_imported() -> None:
    first_importers(all_modules(), ())


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("sparkrun_tui.cli.main", ("textual", "rich", "asyncssh", "huggingface_hub", "httpx2", "yaml")),
        ("sparkrun_tui.ui.app.app", ("asyncssh", "huggingface_hub", "httpx2")),
    ],
)
def test_faces_start_without_heavy_libraries(module: str, unwanted: tuple[str, ...]) -> None:
    assert first_importers([module], unwanted) == {}


# Runs the command line with the arguments on stdin and tells which modules of the program it loaded.
RUN = """
import contextlib, io, json, sys
from sparkrun_tui.entry import main
with contextlib.redirect_stdout(io.StringIO()):
    try:
        main(json.load(sys.stdin))
    except SystemExit:
        pass
print(json.dumps([name for name in sys.modules if name.startswith("sparkrun_tui.")]))
"""


def loaded_by(arguments: list[str]) -> set[str]:
    """The modules of the program that a command loads in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", RUN], input=json.dumps(arguments), capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_loads_no_filter_of_secrets() -> None:
    assert "sparkrun_tui.base.secrets" not in loaded_by(["--help"])
    assert "sparkrun_tui.base.secrets" in loaded_by(["list"])


def test_a_list_from_the_cache_loads_neither_parser_nor_engines() -> None:
    parsing = {
        "sparkrun_tui.engines.registry",
        "sparkrun_tui.recipe.format.loader",
        "sparkrun_tui.recipe.search.summary",
        "sparkrun_tui.recipe.values.shell_scanner",
    }
    assert parsing <= loaded_by(["list", "--json"])
    assert not parsing & loaded_by(["list", "--json"])


RECIPE = str(ROOT / "recipes" / "gemma-4-26b-a4b-vllm.yaml")


@pytest.mark.parametrize(
    "command",
    [["show", RECIPE], ["recipe", "vram", RECIPE], ["recipe", "validate", RECIPE], ["run", RECIPE, "--dry-run"]],
)
def test_a_command_about_one_recipe_loads_its_engine_alone(command: list[str]) -> None:
    loaded = loaded_by(command)
    assert "sparkrun_tui.engines.vllm.plan" in loaded
    others = ("sglang", "llama_cpp")
    assert not [name for other in others for name in loaded if name.startswith(f"sparkrun_tui.memory.{other}.")]
    assert not [name for other in others for name in loaded if name == f"sparkrun_tui.engines.{other}.plan"]


def test_a_dry_run_loads_nothing_that_only_a_launch_needs() -> None:
    loaded = loaded_by(["run", RECIPE, "--dry-run"])
    assert "sparkrun_tui.launch.plan.dry_run" in loaded
    parts = ("launch.launcher", "launch.run", "launch.diagnosis", "launch.record", "remote.http", "remote.script.jobs")
    assert not [name for part in parts for name in loaded if name.startswith(f"sparkrun_tui.{part}")]


# Opens the app as it is opened without arguments, and tells what it had loaded when its first frame was painted.
FIRST_FRAME = """
import asyncio, json, sys
import sparkrun_tui.entry
from sparkrun_tui.ui.app import app as opened

def begin(app):
    print(json.dumps([sorted(sys.modules), len(app.screen.list.rows)]))
    app.exit(0)

opened.SparkrunApp._begin = begin
def headless(session):
    async def painted():
        async with opened.SparkrunApp(session).run_test(size=(120, 40)) as pilot:
            await pilot.pause()
    asyncio.run(painted())
    return 0

opened.run = headless
opened.open_app()
"""


def painted() -> tuple[set[str], int]:
    """What is loaded when the first frame is painted, and how many rows of recipes it has."""
    done = subprocess.run([sys.executable, "-c", FIRST_FRAME], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    modules, rows = json.loads(done.stdout.splitlines()[-1])
    return set(modules), rows


def test_the_first_frame_of_the_app_loads_nothing_that_only_recipes_need() -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text("clusters: {lab: [spark-1]}\ntheme: nord\n", encoding="utf-8")
    row = RecipeRow("/one.yaml", "one", {"size": "8B"})
    keep_first_rows(AppState(Settings(), Catalog(Settings())).listed, FirstRows((row,), 0, False, 3))
    assert "yaml" in painted()[0]  # the settings are parsed once
    modules, rows = painted()
    assert rows == 1
    assert "sparkrun_tui.ui.screens.browse" in modules
    libraries = ("yaml", "click", "asyncssh", "huggingface_hub", "httpx2", "httpcore2")
    assert not modules & set(libraries)
    upper = ("memory", "models", "remote", "launch", "fleet", "demo", "cli")
    assert not modules & {f"sparkrun_tui.{name}" for name in upper}
    assert {name for name in modules if name.startswith("sparkrun_tui.engines.")} == {
        "sparkrun_tui.engines.short_words"
    }
    assert not {name for name in modules if name.startswith("sparkrun_tui.recipe.")} - {
        "sparkrun_tui.recipe.values",
        "sparkrun_tui.recipe.values.favourites",
    }


def test_data_classes_write_their_methods_late() -> None:
    """A class of the standard library writes them when its module is imported: the start pays for all of them."""
    found = []
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            takes = isinstance(node, ast.ImportFrom) and node.module == "dataclasses"
            if takes and any(name.name == "dataclass" for name in node.names):
                found.append(path.relative_to(ROOT / "sparkrun_tui").as_posix())
    assert [name for name in found if name != "base/records.py"] == [], "take it from sparkrun_tui.base.records"
