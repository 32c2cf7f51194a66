"""Clusters, settings, history and completion on the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sparkrun_tui.base.disk.paths import sparkrun_config_dir
from sparkrun_tui.base.units import GIB
from sparkrun_tui.base.user.settings import config_file, load_settings
from tests.cli.conftest import Cli
from tests.launch.fakes import FakeCluster


def write(text: str) -> Path:
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def foreign(name: str, text: str) -> None:
    folder = sparkrun_config_dir() / "clusters"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def test_the_default_of_the_sparkrun_cli_is_the_default(cli: Cli) -> None:
    foreign("one.yaml", "name: one\nhosts: [a]\n")
    foreign("two.yaml", "name: two\nhosts: [b]\n")
    foreign(".default", "two\n")
    assert "two *" in cli("cluster", "list").out
    assert "# ---- on b" in cli("run", "qwen3-1.7b-vllm", "--dry-run").out
    assert cli("cluster", "use", "one").code == 0
    assert "one *" in cli("cluster", "list").out
    foreign(".default", "gone")
    assert ".default names the cluster `gone`" in cli("cluster", "list").err


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("stop", "--all", "--yes"), ("run", "qwen3-1.7b-vllm"), ("run", "qwen3-1.7b-vllm", "--dry-run"),
     ("ask", "x"), ("cluster", "check"), ("cluster", "show")],
)  # fmt: skip
def test_several_clusters_without_a_default_are_refused_with_the_list(
    cli: Cli, no_hosts: None, arguments: tuple[str, ...]
) -> None:
    write("clusters: {near: [a], far: [b]}\n")
    done = cli(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "near, far" in done.err
    assert "cluster use" in done.err


def test_an_estimate_without_a_chosen_cluster_says_what_it_assumes(cli: Cli) -> None:
    write("clusters: {near: [a], far: [b]}\n")
    done = cli("recipe", "vram", "qwen3-1.7b-vllm")
    assert done.code == 0
    assert "DGX Sparks are assumed" in done.err


def test_a_default_that_is_not_there_is_named_with_its_line(cli: Cli) -> None:
    path = write("clusters: {near: [a], far: [b]}\n\ndefault_cluster: nera\n")
    done = cli("status")
    assert done.code == 2
    assert f"{path}:3:1" in done.err


def test_an_ignored_setting_is_named_once_however_much_a_command_does(cli: Cli) -> None:
    write("no_such_setting: 1\n")
    done = cli("recipe", "validate", "qwen3-1.7b-vllm", "qwen3-1.7b-vllm")
    assert done.code == 0
    assert done.err.count("no_such_setting") == 1


def test_a_cluster_is_added_once_and_shown(cli: Cli) -> None:
    assert cli("cluster", "add", "lab", "spark-1,spark-2", "--gpus", "2").code == 0
    done = cli("cluster", "add", "lab", "other")
    assert (done.code, done.out) == (2, "")
    assert "already a cluster `lab`" in done.err
    shown = cli("cluster", "show", "--json").json
    assert shown["hosts"] == ["spark-1", "spark-2"]
    assert shown["default"] is True
    assert "2" in cli("cluster", "show", "lab").out
    second = cli("cluster", "add", "attic", "old")
    assert "cluster use attic" in second.err
    assert "lab *" in cli("cluster", "list").out
    foreign("mine.yaml", "hosts: [x]\n")
    assert cli("cluster", "add", "mine", "y").code == 2
    assert cli("cluster", "use", "lbb").code == 2


@pytest.mark.parametrize("name", ["demo", "", "a b", "-x", "a/b", "a\x1bb", "a" * 80])
def test_what_is_no_name_for_a_cluster(cli: Cli, name: str) -> None:
    assert cli("cluster", "add", "--", name, "spark-1").code == 2
    assert not config_file().exists()


def test_a_link_stays_a_link_and_comments_stay(cli: Cli, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "config.yaml"
    real.parent.mkdir()
    real.write_text("# mine\ntheme: nord  # dark\n")
    config_file().parent.mkdir(parents=True)
    config_file().symlink_to(real)
    assert cli("cluster", "add", "lab", "spark-1").code == 0
    assert config_file().is_symlink()
    assert real.read_text().startswith("# mine\ntheme: nord  # dark\n")
    assert load_settings().cluster("lab") is not None


def test_eight_at_once_keep_all_eight() -> None:
    write("# kept\n")
    code = "import sys; from sparkrun_tui.entry import main; sys.exit(main(sys.argv[1:]))"
    running = [
        subprocess.Popen([sys.executable, "-c", code, "cluster", "add", f"lab-{number}", f"host-{number}"])
        for number in range(8)
    ]
    assert [process.wait() for process in running] == [0] * 8
    assert {cluster.name for cluster in load_settings().clusters} == {f"lab-{number}" for number in range(8)}
    assert config_file().read_text().startswith("# kept\n")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("theme: nord\nclutsers: {}\n", 2, "Did you mean `clusters`?"),
        ("clusters:\n  lab:\n    hosts: [a]\n    gpus: 2\n", 4, "clusters.lab.gpus"),
        ("clusters:\n  lab:\n    hosts: [a]\n    previleged: true\n", 4, "Did you mean `privileged`?"),
    ],
)
def test_unknown_keys_are_named_with_their_line(cli: Cli, text: str, line: int, words: str) -> None:
    path = write(text)
    done = cli("cluster", "list")
    assert done.code == 0
    assert f"{path}:{line}:" in done.err
    assert words in done.err


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("clusters:\n  lab:\n    hosts: [a]\n    privileged: maybe\n", 4),
        ("clusters:\n  lab:\n    hosts: [a]\n    gpus_per_host: none\n", 4),
        ("clusters:\n  lab:\n    hosts: [a]\n    guard_floor_gib: some\n", 4),
        ("clusters:\n  lab:\n    hosts: [a]\n    guard_floor_gib: -1\n", 4),
        ("clusters:\n  lab:\n    hosts: [a]\n    guard_floor_gib: .nan\n", 4),
        ("clusters:\n  lab:\n    hosts: [a]\n    guard_floor_gib: true\n", 4),
        ("theme: a\ntheme: b\n", 2),
        ("clusters:\n  lab: [a]\n  lab: [b]\n", 3),
        ("theme: nord\nclusters: 5\n", 2),
        ("keys:\n  browse.launch: [L]\n", 2),
        ("defaults: {}\nrecipe_dirs:\n  a: b\n", 2),
    ],
)
def test_wrong_settings_are_refused_with_their_line(cli: Cli, text: str, line: int) -> None:
    path = write(text)
    done = cli("cluster", "list")
    assert (done.code, done.out) == (2, "")
    assert f"{path}:{line}:" in done.err


def test_the_paths_are_the_same_on_every_system(cli: Cli, private_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cli("config", "path").out == f"{private_home}/.config/sparkrun-tui/config.yaml\n"
    shown = cli("config", "path", "--all").out
    assert f"{private_home}/.local/state/sparkrun-tui/launches" in shown
    assert f"{private_home}/.cache/sparkrun-tui" in shown
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert cli("config", "path").out == f"{private_home}/.config/sparkrun-tui/config.yaml\n"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/elsewhere")
    assert cli("config", "path").out == "/elsewhere/sparkrun-tui/config.yaml\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(cli: Cli, shell: str) -> None:
    done = cli("completion", shell)
    assert done.code == 0
    assert f"_SPARKRUN_TUI_COMPLETE={shell}_complete" in done.out
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=done.out, text=True, check=False).returncode == 0


def test_a_registry_is_switched_off_and_on(cli: Cli) -> None:
    assert cli("registry", "disable", "eugr").code == 0
    assert {row["name"]: row["enabled"] for row in cli("registry", "list", "--json").json}["eugr"] is False
    assert cli("registry", "enable", "eugr").code == 0
    assert {row["name"]: row["enabled"] for row in cli("registry", "list", "--json").json}["eugr"] is True
    for query in ("@eugr", "@eugr/minimax", "registry:eugr"):
        done = cli("list", query)
        assert (done.code, done.out.count("\n")) == (0, 1)
        assert "`sparkrun-tui registry update eugr` fetches it" in done.err
    for query in ("@eurg", "@eurg/minimax", "registry:eurg"):
        done = cli("search", query)
        assert (done.code, done.out) == (2, "")
        assert "there is no registry `eurg`" in done.err and "did you mean `eugr`" in done.err
    assert cli("registry", "disable", "eugr").code == 0
    done = cli("list", "@eugr")
    assert (done.code, done.out) == (2, "")
    assert "`sparkrun-tui registry enable eugr`" in done.err
    done = cli("registry", "disable", "eurg")
    assert done.code == 2
    assert "did you mean `eugr`" in done.err


def test_a_launch_that_is_kept_says_so_and_is_launched_again_so(cli: Cli, lab: FakeCluster, solo: str) -> None:
    assert "--restart unless-stopped" in cli("run", solo, "-H", "spark-1", "--keep", "--dry-run").out
    done = cli("run", solo, "-H", "spark-1", "--keep")
    assert done.code == 0, done.err
    (past,) = cli("history", "list", "--json").json
    assert past["again"] == f"sparkrun-tui run {solo} -H spark-1 -o restart_policy=unless-stopped"
    wrong = cli("run", solo, "-H", "spark-1", "-o", "restart_policy=sometimes")
    assert (wrong.code, "is not a restart policy" in wrong.err) == (2, True)


def test_the_history_shows_what_the_memory_guard_has_seen(cli: Cli, lab: FakeCluster, solo: str) -> None:
    assert cli("run", solo, "-H", "spark-1").code == 0
    guard = lab[1].guard
    assert guard is not None
    guard.past = [(5, 120), (10, 60), (15, 7.5), (20, 60)]
    assert cli("stop", "solo", "-H", "spark-1", "--yes").code == 0
    assert lab[1].guard is None
    shown = cli("history", "show", "solo").out
    (line,) = [line for line in shown.splitlines() if line.startswith("memory guard")]
    assert "spark-1: " in line and "█▅▁▅" in line and "least 7.5 GiB" in line and "floor 4.0 GiB" in line
    (kept,) = cli("history", "show", "solo", "--json").json["memory_guards"]
    assert (kept["host"], kept["least"], kept["stopped"]) == ("spark-1", int(7.5 * GIB), None)


def test_the_history_remembers_a_launch_and_how_to_launch_it_again(cli: Cli, lab: FakeCluster, solo: str) -> None:
    assert cli("history", "--json").json == []
    done = cli(
        "run", solo, "-H", "spark-1", "-o", "port=9100", "-e", "LEVEL=two words", "--image", "registry.test/other:2",
        "--", "--api-key", "sk-canary-0123456789", "--load-format", "safetensors",
    )  # fmt: skip
    assert done.code == 0, done.err
    (past,) = cli("history", "list", "--json").json
    assert past["recipe"] == "solo"
    assert past["hosts"] == ["spark-1"]
    assert past["overrides"]["env.LEVEL"] == "two words"
    assert past["overrides"]["container"] == "registry.test/other:2"
    assert "--load-format safetensors" in past["overrides"]["extra_flags"]
    again = past["again"]
    assert again.startswith(f"sparkrun-tui run {solo} -H spark-1 -o port=9100")
    assert again.endswith('-- --api-key "${API_KEY}" --load-format safetensors')
    shown = cli("history", "show", past["launch_id"][:4])
    assert shown.code == 0
    assert again in shown.out
    assert cli("history", "show", "solo", "--json").json == past
    assert cli("history", "show", "nothing").code == 2
    assert "sk-canary" not in done.out + done.err + shown.out + str(past)
