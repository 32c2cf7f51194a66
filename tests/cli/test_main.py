"""The frame of the command line: help, version, exit codes, and the app when no command is given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sparkrun_tui import __version__
from sparkrun_tui.base.errors import HostError, LaunchError, RecipeError, SettingsError, Spot, UsageError
from sparkrun_tui.cli.exits import Exit, report
from sparkrun_tui.cli.main import COMMANDS
from tests.cli.conftest import Cli


def test_help_names_every_command_and_the_exit_codes(cli: Cli) -> None:
    done = cli("--help")
    assert done.code == 0
    assert all(name in done.out for name in COMMANDS)
    assert "3 result" in done.out
    assert cli("--version").out.strip().endswith(__version__)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(cli: Cli, name: str) -> None:
    done = cli(name, "--help")
    assert done.code == 0
    assert "Usage: sparkrun-tui" in done.out


def test_without_a_command_the_app_opens(cli: Cli) -> None:
    assert cli("--demo", "--query", "qwen").out == "app demo=True cluster= query=qwen\n"


@pytest.mark.parametrize("arguments", [("nope",), ("run",), ("list", "--nope"), ("logs", "x", "--tail", "many")])
def test_wrong_usage_is_exit_code_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = cli(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "Error" in done.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RecipeError("bad", spot=Spot("a.yaml", 3, 1)), Exit.FAILED),
        (LaunchError("bad", host="spark-1"), Exit.FAILED),
        (UsageError("bad"), Exit.USAGE),
        (SettingsError("bad"), Exit.USAGE),
        (HostError("bad", host="spark-1", remedy="do this"), Exit.HOST),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (ValueError("bad"), Exit.FAILED),
    ],
)
def test_each_kind_of_error_has_its_code(capsys: pytest.CaptureFixture[str], error: BaseException, code: Exit) -> None:
    assert report(error) is code
    told = capsys.readouterr()
    assert told.out == ""
    assert "bad" in told.err or "interrupted" in told.err
    assert "Traceback" not in told.err


def test_a_terminal_cannot_be_steered_by_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    report(RecipeError("\x1b]0;owned\x07 \x1b[2J gone"))
    assert "\x1b" not in capsys.readouterr().err


def test_settings_that_cannot_be_read_are_told_with_their_line(cli: Cli, private_home: object) -> None:
    from sparkrun_tui.base.user.settings import config_file

    config_file().parent.mkdir(parents=True)
    config_file().write_text("clusters:\n  lab: [\n")
    done = cli("list")
    assert done.code == 2
    assert "config.yaml:" in done.err


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("reg", "plain,registry"),
        ("run qwen3-1.7b", "plain,qwen3-1.7b-vllm"),
        ("run x --cluster l", "plain,lab"),
        ("run qwen3-1.7b-vllm -o max_mod", "plain,max_model_len="),
        ("run qwen3-1.7b-vllm -o kv_cache_dtype=fp8_e4", "plain,kv_cache_dtype=fp8_e4m3"),
        ("run qwen3-1.7b-vllm -o ", "plain,port="),
        ("run qwen3-1.7b-vllm -o ", "plain,container="),
        ("run qwen3-1.7b-vllm -o extra", "plain,extra_flags="),
        ("run qwen3-1.7b-vllm -o en", "plain,env."),
        ("run qwen3-1.7b-vllm --ignore gpu-r", "plain,gpu-runtime"),
        ("run qwen3-1.7b-vllm -e XDG_CONFIG_H", "plain,XDG_CONFIG_HOME"),
        ("run qwen3-1.7b-vllm -o enforce_eager=t", "plain,enforce_eager=true"),
        ("run qwen3-1.7b-vllm --port 80 -o kv_cache_dtype=", "plain,kv_cache_dtype=auto"),
        ("cluster use l", "plain,lab"),
        ("registry disable eu", "plain,eugr"),
        ("completion z", "plain,zsh"),
    ],
)
def test_the_shell_completes_commands_recipes_clusters_and_overrides(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, offered: str
) -> None:
    cli("cluster", "add", "lab", "spark-1")
    monkeypatch.setenv("_SPARKRUN_TUI_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_LINE", f"sparkrun-tui {words}")
    with pytest.raises(SystemExit):
        cli()
    assert offered in capsys.readouterr().out.splitlines()


def test_every_command_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    assert all(f"`{name} " in text or f"`{name}`" in text for name in COMMANDS if name != "demo-story")
    assert all(f"| {code.value} |" in text for code in Exit)


@pytest.fixture
def two_clusters(private_home: Path) -> None:
    path = private_home / ".config/sparkrun-tui/config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("default_cluster: near\nclusters: {near: {hosts: [near-1]}, far: {hosts: [far-1]}}\n")


@pytest.mark.usefixtures("two_clusters")
@pytest.mark.parametrize(
    ("arguments", "host"),
    [
        (("show", "qwen3-1.7b-vllm"), "near-1"),
        (("--cluster", "far", "show", "qwen3-1.7b-vllm"), "far-1"),
        (("--cluster", "near", "show", "qwen3-1.7b-vllm", "--cluster", "far"), "far-1"),
        (("--cluster", "far", "recipe", "vram", "qwen3-1.7b-vllm"), "far-1"),
        (("show", "qwen3-1.7b-vllm", "-H", "one", "-H", "two"), "one"),
    ],
)
def test_a_cluster_before_the_command_is_its_cluster(cli: Cli, arguments: tuple[str, ...], host: str) -> None:
    done = cli(*arguments)
    assert done.code == 0
    assert f"{host}:" in done.out
    assert all(f"{other}:" not in done.out for other in {"near-1", "far-1"} - {host})


@pytest.mark.usefixtures("two_clusters")
def test_an_option_before_a_command_that_does_not_take_it_is_refused(cli: Cli) -> None:
    done = cli("--query", "qwen", "status")
    assert (done.code, done.out) == (2, "")
    assert "`status` does not take `--query`" in done.err
    assert cli("--cluster", "far", "demo-story").code == 2


@pytest.mark.usefixtures("two_clusters")
def test_hosts_may_be_given_one_by_one(cli: Cli) -> None:
    done = cli("run", "qwen3.5-122b-a10b-fp8-2x-vllm", "-H", "one", "-H", "two", "--dry-run", "--yes")
    assert done.code == 0, done.err
    assert "one" in done.out and "two" in done.out


def test_without_a_terminal_the_app_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sparkrun_tui"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr and "--help" in done.stderr
    assert done.stdout == ""
