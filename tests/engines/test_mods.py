"""Copies and mods of recipes in plans: what their commands do to real files, and what eugr's scripts are given."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sparkrun_tui.engines.layout.common import hook_folder
from sparkrun_tui.engines.plan import Hook, ServePlan
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered

from .samples import VLLM, plan

FIELDS = """\
pre_exec:
  - echo first
  - {copy: patches, dest: "/TOP/o pt"}
  - {copy: patches/a.txt, dest: /TOP/files/}
  - {copy: patches/a.txt, dest: /TOP/files/b.txt}
mods: [mods/fix]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "recipe"
    (place / "patches" / "sub").mkdir(parents=True)
    (place / "patches" / "a.txt").write_text("a\n")
    (place / "patches" / "sub" / ".hidden").write_text("h\n")
    (place / "mods" / "fix").mkdir(parents=True)
    (place / "mods" / "fix" / "run.sh").write_text('#!/bin/bash\ncat data >"$WORKSPACE_DIR/out"\n')
    (place / "mods" / "fix" / "data").write_text("fixed\n")
    return place


def of(folder: Path, text: str) -> Rendered:
    return render(load_text(text, Source(SourceKind.PATH, str(folder / "r.yaml"))), {})


def before(serve: ServePlan) -> tuple[Hook, ...]:
    for rank in serve.ranks[1:]:
        others = [replace(hook, env={}) for hook in rank.container.before]
        assert others == [replace(hook, env={}) for hook in serve.ranks[0].container.before]
    return serve.ranks[0].container.before


def run(hooks: tuple[Hook, ...], top: Path) -> None:
    """The hooks in order as a container would run them, everything below `top`."""
    work = top / "work"
    work.mkdir(parents=True)
    for number, hook in enumerate(hooks, 1):
        staged = Path(f"{top}{hook_folder(number)}")
        if hook.bundle is not None:
            for name, file in hook.bundle.names.items():
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.path, staged / name)
        command = hook.command.replace("/run/sparkrun", f"{top}/run/sparkrun").replace("/TOP", str(top))
        command = command.replace("/workspace", f"{top}/workspace")
        done = subprocess.run(
            ["bash", "-c", command], cwd=work, capture_output=True, text=True, check=False, timeout=20
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("runtime", ["vllm", "vllm-distributed"])
def test_copies_and_mods_do_what_they_say_in_every_container(folder: Path, tmp_path: Path, runtime: str) -> None:
    serve = plan(of(folder, VLLM.replace("runtime: vllm", f"runtime: {runtime}") + FIELDS), 2)
    hooks = before(serve)
    first = VLLM.count("\n") + 2
    assert [hook.title for hook in hooks] == [
        *(f"pre_exec {number} of 4 (r.yaml:{first + number - 1})" for number in range(1, 5)),
        f"mods (r.yaml:{first + 4})",
    ]  # fmt: skip
    top = tmp_path / "top"
    run(hooks, top)
    assert (top / "o pt" / "a.txt").read_text() == "a\n" and (top / "o pt" / "sub" / ".hidden").is_file()
    assert (top / "files" / "a.txt").is_file() and (top / "files" / "b.txt").read_text() == "a\n"
    assert (top / "work" / "out").read_text() == "fixed\n"
    (note,) = [note for note in serve.notes if note.startswith("mods")]
    assert "in every container before the engine" in note and "run.sh (" in note and "/workspace/mods/fix" in note


def test_files_that_differ_are_another_plan(folder: Path) -> None:
    text = VLLM + FIELDS
    one = plan(of(folder, text)).ranks[0].container.labels["io.sparkrun-tui.plan"]
    (folder / "mods" / "fix" / "data").write_text("other\n")
    assert plan(of(folder, text)).ranks[0].container.labels["io.sparkrun-tui.plan"] != one


def test_the_scripts_of_eugr_get_what_is_here_as_folders(folder: Path, tmp_path: Path) -> None:
    text = VLLM.replace("runtime: vllm", "runtime: eugr-vllm") + FIELDS.replace("[mods/fix]", "[mods/theirs, fix]")
    serve = plan(of(folder, text), 2)
    (script,) = serve.stages[-1].scripts
    home = "/home/ada/.cache/sparkrun-tui/eugr/k3v9wxyz"
    recipe = next(text for path, text in script.files.items() if path.endswith("k3v9wxyz.yaml"))
    assert yaml.safe_load(recipe)["mods"] == ["mods/theirs", f"{home}-mods/2/fix", f"{home}-before"]
    assert set(script.sent) == {f"{home}-mods/2/fix"} | {f"{home}-before/before-{number}" for number in (2, 3, 4)}
    mod = tmp_path / "container"
    for place, bundle in script.sent.items():
        for name, file in bundle.names.items():
            target = mod / place.removeprefix(f"{home}-before/") / name
            if target.is_relative_to(mod):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.path, target)
    run_sh = script.files[f"{home}-before/run.sh"].replace("/TOP", str(tmp_path / "top"))
    done = subprocess.run(["bash", "-c", run_sh], cwd=mod, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "top" / "o pt" / "sub" / ".hidden").is_file() and (
        tmp_path / "top" / "files" / "b.txt"
    ).is_file()


def test_a_mod_that_is_only_on_the_hosts_is_seen_from_there(folder: Path, tmp_path: Path) -> None:
    serve = plan(of(folder, VLLM + "mods: [mods/theirs, fix]\n"), 2)
    first = serve.stages[0]
    assert first.early and [script.host for script in first.scripts] == ["spark-1", "spark-2"]
    clone = tmp_path / "clone"
    (clone / ".git").mkdir(parents=True)
    script = first.scripts[1].script.replace("/home/ada/.cache/sparkrun-tui/spark-vllm-docker", str(clone))
    script = script.replace("git log", "echo git log")

    def checked() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=20)

    lacking = checked()
    assert lacking.returncode == 1 and "has no mod mods/theirs;" in lacking.stderr and "fix" not in lacking.stderr
    (clone / "mods" / "theirs").mkdir(parents=True)
    (clone / "mods" / "theirs" / "run.sh").write_text('echo "$WORKSPACE_DIR" >where\n')
    assert checked().returncode == 0
    theirs, ours = before(serve)
    assert (theirs.mod, theirs.bundle, ours.mod) == ("mods/theirs", None, "")
    (mount,) = [mount for mount in serve.ranks[1].container.mounts if mount.target == hook_folder(1)]
    assert mount.source == "/home/ada/.cache/sparkrun-tui/spark-vllm-docker/mods/theirs" and mount.read_only
    staged = Path(f"{tmp_path}/top{hook_folder(1)}")
    shutil.copytree(clone / "mods" / "theirs", staged)
    run((theirs,), tmp_path / "top")
    assert (tmp_path / "top/workspace/mods/theirs/where").read_text() == f"{tmp_path}/top/work\n"


BUILT = VLLM.replace("container: ", "container: local-image:1 #").replace(
    "runtime: vllm", "runtime: vllm\nbuild_args: [--x]"
)


def test_an_image_that_is_to_be_built_is_built_by_the_scripts_first() -> None:
    source = Source(SourceKind.PATH, "r.yaml")
    serve = plan(render(load_text(BUILT, source), {}), 2)
    first, *rest = serve.stages
    (script,) = first.scripts
    assert not serve.pull_image and rest and serve.ranks and serve.ranks[0].container.image == "local-image:1"
    assert "--build-only -n 10.0.0.1,10.0.0.2" in script.script and "ssh-copy-id" in script.script
    (text,) = script.files.values()
    written = yaml.safe_load(text)
    assert (written["container"], written["build_args"], written["recipe_version"]) == ("local-image:1", ["--x"], "1")
    assert any("built by https://github.com/eugr/spark-vllm-docker" in note for note in serve.notes)
    pulled = plan(render(load_text(BUILT.replace("local-image:1", "registry.example/image:1"), source), {}), 2)
    assert pulled.pull_image and not any(stage.scripts for stage in pulled.stages)
    sglang = (
        "model: a/b\nruntime: sglang\ncontainer: local\nbuilder: eugr\ncommand: sglang serve --model-path {model}\n"
    )
    assert plan(render(load_text(sglang, source), {})).pull_image


def test_a_user_other_than_root_is_pointed_out(folder: Path) -> None:
    text = VLLM + FIELDS + "executor_config: {user: vllm}\n"
    assert [problem.code for problem in plan(of(folder, text)).problems if problem.code == "hook-user"] == ["hook-user"]
    for plain in (text.replace("user: vllm", "user: root"), VLLM + "pre_exec: [ls]\nexecutor_config: {user: vllm}\n"):
        assert not any(problem.code == "hook-user" for problem in plan(of(folder, plain)).problems)
