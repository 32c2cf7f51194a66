"""Files and mods that recipes bring, images that they have built, and servers for one piece of work, on real hosts."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Host
from cluster.workstation import Workstation
from fetching import ask

Run = Callable[..., subprocess.CompletedProcess[str]]

SCRIPTS = Path(__file__).with_name("standin_eugr")
ADDRESS = "https://github.com/eugr/spark-vllm-docker"
BINARY = bytes(range(256)) * 40
COPIES = """
executor_config: {volumes: ["~/later:/later"]}
pre_exec:
  - {copy: ../patches, dest: /opt/pat ches}
  - {copy: ../patches/tool, dest: /usr/local/bin/}
  - cp "/opt/pat ches/sub/data.bin" /later/data && tool >/later/tool
"""
MOD = '#!/bin/bash\ncp note "/later/note" && echo "$WORKSPACE_DIR" >/later/where && echo modded\n'


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def arena(tmp_path: Path, recipes: Path, workstation: Workstation) -> Path:
    """A repository of recipes on the workstation, with one that copies files and has a mod."""
    folder = tmp_path / "arena"
    (folder / "patches" / "sub").mkdir(parents=True)
    (folder / "patches" / "sub" / "data.bin").write_bytes(BINARY)
    (folder / "patches" / "tool").write_text("#!/bin/sh\necho tool runs\n")
    (folder / "patches" / "tool").chmod(0o755)
    (folder / "mods" / "fix").mkdir(parents=True)
    (folder / "mods" / "fix" / "run.sh").write_text(MOD)
    (folder / "mods" / "fix" / "note").write_text("of the mod\n")
    (folder / "recipes").mkdir()
    recipe = (recipes / "tiny-vllm.yaml").read_text() + COPIES + "mods: [mods/fix]\n"
    (folder / "recipes" / "tiny.yaml").write_text(recipe)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


@pytest.fixture
def scripts(hosts: list[Host]) -> None:
    """The scripts' repository, in place of the real one, on both hosts; the head may log in to the worker."""
    for host in hosts:
        folder = host.path("/root/upstream")
        (folder / "mods" / "theirs").mkdir(parents=True)
        (folder / "mods" / "theirs" / "run.sh").write_text(MOD)
        (folder / "mods" / "theirs" / "note").write_text("of the hosts\n")
        (folder / "run-recipe.sh").write_text((SCRIPTS / "run-recipe.sh").read_text())
        (folder / "run-recipe.sh").chmod(0o755)
        commit = "git -C /root/upstream -c user.name=t -c user.email=t@localhost"
        host.run(f"git init -q /root/upstream && {commit} add . && {commit} commit -q -m scripts")
        host.run(f"git config --global url.file:///root/upstream.insteadOf {ADDRESS}")
    hosts[0].may_log_in_to_others()


def later(host: Host, name: str) -> Path:
    return host.path(f"/root/later/{name}")


def test_a_registrys_files_reach_every_container_once_they_are_agreed_to(
    hosts: list[Host], sparkrun: Run, arena: Path
) -> None:
    names = f"{hosts[0].name},{hosts[1].name}"
    assert sparkrun("registry", "add", str(arena)).returncode == 0
    dry = sparkrun("run", "@arena/tiny", "-H", names, "--tp", "2", "--dry-run")
    assert "# run.sh: cp note" in dry.stdout and "docker cp - sparkrun-tui-" in dry.stdout, dry.stdout + dry.stderr
    refused = sparkrun("run", "@arena/tiny", "-H", names, "--tp", "2")
    assert refused.returncode == 2 and "mods/fix" in refused.stderr and "needs your consent" in refused.stderr
    assert hosts[0].containers() == hosts[1].containers() == []

    done = sparkrun("run", "@arena/tiny", "-H", names, "--tp", "2", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ask(hosts[0], "/health")[0] == 200
    for host in hosts:
        assert later(host, "data").read_bytes() == BINARY and later(host, "tool").read_text() == "tool runs\n"
        assert later(host, "note").read_text() == "of the mod\n" and later(host, "where").read_text().startswith("/")
    logs = sparkrun("logs", "tiny", "-H", hosts[0].name).stdout
    assert "mods (tiny.yaml:" in logs and "modded" in logs
    assert sparkrun("stop", "tiny", "-H", names).returncode == 0

    (arena / "mods" / "fix" / "note").write_text("changed\n")
    git(arena, "commit", "-q", "-a", "-m", "second")
    assert sparkrun("registry", "update", "arena").returncode == 0
    again = sparkrun("run", "@arena/tiny", "-H", names, "--tp", "2")
    assert again.returncode == 2 and "has changed since you agreed" in again.stderr, again.stderr


def test_a_copy_of_what_lies_elsewhere_is_refused_with_its_line(
    hosts: list[Host], sparkrun: Run, arena: Path, workstation: Workstation
) -> None:
    (workstation.home / "secret").write_text("s3cret")
    recipe = arena / "recipes" / "tiny.yaml"
    recipe.write_text(recipe.read_text().replace("copy: ../patches,", f"copy: {workstation.home}/secret,"))
    git(arena, "commit", "-q", "-a", "-m", "greedy")
    assert sparkrun("registry", "add", str(arena)).returncode == 0
    done = sparkrun("run", "@arena/tiny", "-H", hosts[0].name, "--yes")
    assert done.returncode == 1 and "leads out of" in done.stderr, done.stderr
    line = recipe.read_text().split("\n").index(f"  - {{copy: {workstation.home}/secret, dest: /opt/pat ches}}") + 1
    assert f"tiny.yaml:{line}:" in done.stderr and hosts[0].containers() == []


@pytest.mark.usefixtures("scripts")
def test_a_mod_that_only_the_hosts_have_is_applied_from_there(
    hosts: list[Host], sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    path = tmp_path / "own.yaml"
    volumes = 'executor_config: {volumes: ["~/later:/later"]}\n'
    path.write_text((recipes / "tiny-vllm.yaml").read_text() + volumes + "mods: [mods/theirs]\n")
    names = f"{hosts[0].name},{hosts[1].name}"
    done = sparkrun("run", str(path), "-H", names, "--tp", "2", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(later(host, "note").read_text() == "of the hosts\n" for host in hosts)
    assert sparkrun("stop", "own", "-H", names).returncode == 0
    path.write_text(path.read_text().replace("mods/theirs", "mods/unheard-of"))
    lacking = sparkrun("run", str(path), "-H", names, "--tp", "2", "--yes")
    assert lacking.returncode == 1 and "has no mod mods/unheard-of" in lacking.stderr + lacking.stdout
    assert hosts[0].containers() == hosts[1].containers() == []


@pytest.mark.usefixtures("scripts")
def test_an_image_is_built_by_the_scripts_and_then_served(
    hosts: list[Host], sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    path = tmp_path / "built.yaml"
    text = (recipes / "tiny-vllm.yaml").read_text().replace("spark-tests/vllm:1", "own-vllm:b1")
    path.write_text(text + "\nbuilder: eugr\nbuild_args: [--apply-vllm-pr, '1']\n")
    names = f"{hosts[0].name},{hosts[1].name}"
    done = sparkrun("run", str(path), "-H", names, "--tp", "2", "--json", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    (name,) = hosts[1].containers()
    assert hosts[1].inspect(name)["Config"]["Image"] == "own-vllm:b1"
    assert ask(hosts[0], "/health")[0] == 200
    assert sparkrun("stop", "built", "-H", names).returncode == 0
    for host in hosts:
        host.docker("rmi", "own-vllm:b1")


@pytest.mark.usefixtures("scripts")
def test_the_scripts_apply_the_mods_that_are_here(hosts: list[Host], sparkrun: Run, arena: Path, recipes: Path) -> None:
    fields = COPIES + "mods: [mods/theirs, fix]\n"
    (arena / "recipes" / "tiny.yaml").write_text((recipes / "tiny-eugr.yaml").read_text() + fields)
    names = f"{hosts[0].name},{hosts[1].name}"
    done = sparkrun("run", str(arena / "recipes" / "tiny.yaml"), "-H", names, "--tp", "2", "--yes")
    assert done.returncode == 1 and "leads out of" in done.stderr, "beside the recipe alone, where it is no registry's"
    assert sparkrun("registry", "add", str(arena)).returncode == 0
    git(arena, "commit", "-q", "-a", "-m", "delegated")
    assert sparkrun("registry", "update", "arena").returncode == 0
    done = sparkrun("run", "@arena/tiny", "-H", names, "--tp", "2", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for host in hosts:
        assert later(host, "data").read_bytes() == BINARY and later(host, "tool").read_text() == "tool runs\n"
        assert later(host, "note").read_text() == "of the mod\n"
    assert sparkrun("stop", "tiny", "-H", names).returncode == 0


def test_a_server_for_one_piece_of_work_is_gone_after_it(
    hosts: list[Host], sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    path = tmp_path / "work.yaml"
    work = (
        "post_commands: ['curl -fsS {base_url}/models >\"$HOME/measured\" && echo measured']\nstop_after_post: true\n"
    )
    path.write_text((recipes / "tiny-vllm.yaml").read_text() + work)
    done = sparkrun("run", str(path), "-H", hosts[0].name, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stop_after_post" in done.stdout and '"tiny"' in hosts[0].path("/root/measured").read_text()
    assert hosts[0].containers() == []
    path.write_text((recipes / "tiny-vllm.yaml").read_text() + "post_exec: [exit 3]\nstop_after_post: true\n")
    failed = sparkrun("run", str(path), "-H", hosts[0].name, "--yes")
    assert failed.returncode == 1 and "the server is not stopped" in failed.stdout, failed.stdout + failed.stderr
    assert "its post commands failed" in failed.stderr
    assert len(hosts[0].containers()) == 1
    assert sparkrun("stop", "work", "-H", hosts[0].name).returncode == 0
