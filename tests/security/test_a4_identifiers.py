"""A1, A4, A15, low points: what hosts, labels, the Hub and templates say does not become a path or code."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import LaunchError, RecipeError
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.fleet.grouping import FoundContainer, group
from sparkrun_tui.launch.record.journal import launch_folder, launches_dir
from sparkrun_tui.recipe.format.export import write_new_recipe
from sparkrun_tui.remote.docker.types import ContainerInfo
from sparkrun_tui.remote.hub import cache as hub_cache
from sparkrun_tui.remote.hub import host_cache
from tests.engines.samples import plan, with_command
from tests.launch.fakes import FakeCluster
from tests.support.shell_stubs import PAYLOADS

COMMIT = "0123456789abcdef" * 2 + "01234567"
LAUNCH_IDS = (
    "",
    "..",
    "../../evil",
    "/any/where/evil",
    "abcd234",
    "abcd23456",
    "ABCD2345",
    "abcd234\n",
    "abcd23.5",
    "²bcd2345",
)


@pytest.mark.parametrize("payload", [*PAYLOADS, COMMIT.upper(), COMMIT[:39], f"{COMMIT}0", f"{COMMIT}\n", "../../x"])
def test_what_is_no_commit_does_not_become_one(payload: str, tmp_path: Path) -> None:
    files = "file\t2\tconfig.json\nfile\t2\tmodel.safetensors\nfile\t2\ttokenizer.json\n"
    first = payload.splitlines()[0] if payload.splitlines() else ""
    found = host_cache.read(f"commit\t{payload}\n{files}")
    assert found is None or (first == COMMIT and found.commit == COMMIT)
    refs = tmp_path / "models--org--m" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(payload, encoding="utf-8")
    assert hub_cache.commit_of(tmp_path, "org/m", "") in (None, COMMIT if payload.strip() == COMMIT else None)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a//b", "./x", "a\\b", "a\x1bb", "", "a/"])
def test_a_files_name_cannot_lead_out_of_the_snapshot(name: str) -> None:
    found = host_cache.read(f"commit\t{COMMIT}\nfile\t2\t{name}\nindex\te30=\t{name}\nfile\t2\tok/config.json\n")
    assert found is not None and [file.name for file in found.files] == ["ok/config.json"] and not found.indexes


@pytest.mark.parametrize("text", LAUNCH_IDS)
def test_a_label_of_another_form_is_no_launch_and_makes_no_folder(text: str) -> None:
    with pytest.raises(LaunchError, match="is not a launch id"):
        launch_folder(text)
    info = ContainerInfo("1", "x", "i", "running", {f"{LABEL}launch": text})
    assert group([FoundContainer("a", info)]) == ()


async def test_attaching_to_a_hostile_label_touches_nothing(tmp_path: Path) -> None:
    outside = tmp_path / "shared"
    outside.mkdir(mode=0o755)
    outside.chmod(0o755)

    class Rank:
        host, container_id = "spark-1", "x"

    class Found:
        launch_id, ranks = str(outside / "evil"), (Rank(),)

    cluster = FakeCluster("spark-1")
    with pytest.raises(LaunchError, match="not launched by sparkrun-tui"):
        await cluster.launcher().attach(Found(), cluster.cluster)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o755 and not list(outside.iterdir())


def test_a_launch_of_ours_lies_below_the_folder_of_launches() -> None:
    assert launch_folder("abcd2345") == launches_dir() / "abcd2345"


@pytest.mark.parametrize(
    ("label", "value"),
    [("nodes", "1000000000"), ("rank", "9" * 5000), ("rank", "²"), ("port", "70000"), ("nodes", "-1")],
)
def test_numbers_of_labels_are_bounded(label: str, value: str) -> None:
    labels = {f"{LABEL}launch": "abcd2345", f"{LABEL}{label}": value}
    (workload,) = group([FoundContainer("a", ContainerInfo("1", "x", "i", "running", labels))])
    assert workload.expected_ranks <= identifiers.MAX_NODES and workload.ranks[0].rank == 0
    assert workload.port is None


@pytest.mark.parametrize("slot", ["{port:>1000000000}", "{port!r}", "{port.real}", "{port[0]}", "{port:{port}}"])
def test_a_format_in_a_strangers_template_is_an_error(slot: str) -> None:
    what = with_command(f"vllm serve m --seed {slot}", "eugr-vllm", "acme/F", "defaults: {port: 8000}")
    with pytest.raises(LaunchError, match="with a format"):
        plan(what)


def test_plain_names_and_json_still_go_to_the_scripts() -> None:
    for command in ("vllm serve m --port {port}", 'vllm serve m --port {port} -x \'{"a": {"b": 1}}\''):
        what = with_command(command, "eugr-vllm", "acme/F", "defaults: {port: 8000}")
        assert plan(what).stages


@pytest.mark.parametrize("command", ["bash -c 'llama-server -hf {model}'", 'bash -c "llama-server -hf {model}"'])
def test_inside_a_quoted_script_only_plain_paths_are_put(command: str) -> None:
    what = with_command(command, "llama-cpp", "acme/F-GGUF:Q4_K_M")
    assert "-m /hub/f-Q4_K_M.gguf" in plan(what, gguf_path="/hub/f-Q4_K_M.gguf").ranks[0].container.script
    with pytest.raises(LaunchError, match="special characters"):
        plan(what, gguf_path="/hub/f$(canary).gguf")


def test_exporting_does_not_write_through_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    path = tmp_path / "F"
    (tmp_path / ".F.partial").symlink_to(precious)
    write_new_recipe(path, "new")
    assert path.read_text() == "new" and not path.is_symlink() and precious.read_text() == "mine"
    link = tmp_path / "link"
    link.symlink_to(precious)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("link", "dangling"):
        with pytest.raises(RecipeError, match="exists already"):
            write_new_recipe(tmp_path / name, "new")
    write_new_recipe(link, "new", overwrite=True)
    assert link.read_text() == "new" and precious.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


BASH = shutil.which("bash")


@pytest.mark.skipif(BASH is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "inserted"),
    [
        ("sparkrun-tui run @re", r"reg/a\$\(canary\)"),
        ("sparkrun-tui run @reg/", r"reg/a\$\(canary\)"),
        ("sparkrun-tui run b", r"b\;\ canary"),
        ("sparkrun-tui run 'b", "b; canary"),
        ('sparkrun-tui run "@re', ""),
    ],
)
def test_bash_completes_names_quoted_and_whole(typed: str, inserted: str, tmp_path: Path) -> None:
    """The real function in a real bash, with its usual word breaks; the program is this one with other names."""
    assert BASH is not None
    program = tmp_path / "sparkrun-tui"
    program.write_text(
        f"#!{sys.executable}\n"
        "import click\n"
        "from click.shell_completion import CompletionItem\n"
        "import sparkrun_tui.cli.completions\n"
        "names = ['@reg/a$(canary)', 'b; canary', 'c\\nd']\n"
        "def names_of(ctx, param, incomplete):\n"
        "    return [CompletionItem(name) for name in names if name.startswith(incomplete)]\n"
        "@click.group()\n"
        "def main(): pass\n"
        "@main.command()\n"
        "@click.argument('name', shell_complete=names_of)\n"
        "def run(name): pass\n"
        "main(prog_name='sparkrun-tui')\n"
    )
    program.chmod(0o755)
    (tmp_path / "canary").write_text(f"#!/bin/sh\n: >{tmp_path}/CANARY\n")
    (tmp_path / "canary").chmod(0o755)
    script = (
        'eval "$(_SPARKRUN_TUI_COMPLETE=bash_source sparkrun-tui)"\n'
        "compopt() { :; }\n"
        "COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$' \\t\\n\"\\'@><=;|&(:'\n"
        "_sparkrun_tui_completion sparkrun-tui\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [BASH, "-c", script, "x", typed], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.rstrip("\n") == inserted, done.stderr
    assert not (tmp_path / "CANARY").exists()
