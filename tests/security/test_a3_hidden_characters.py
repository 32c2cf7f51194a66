"""A3: what will run is what is shown. Control characters in executable text are seen everywhere and stop a launch."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import sparkrun_tui
from sparkrun_tui.base.text import first_hidden
from sparkrun_tui.cli.main import run
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.launch.plan.consent import consent_needed, question
from sparkrun_tui.launch.plan.dry_run import lines, offline_plan
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Severity, Source, SourceKind
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.ui.ink import text_of
from sparkrun_tui.ui.paint.launch.plan_lines import consent_lines, plan_lines
from sparkrun_tui.ui.paint.recipe.command_view import argv_lines, shell_lines
from sparkrun_tui.ui.paint.recipe.detail import demand_lines

HIDING = r"""
model: org/m
runtime: vllm
container: a/b:1
command: "vllm serve org/m \e]; touch CANARY_A\a"
pre_exec: ["touch CANARY_B #\recho hello", "\e]; touch CANARY_C #\a echo nice", "echo ok\x9d; touch CANARY_D\x9c"]
"""
CANARIES = ("CANARY_A", "CANARY_B", "CANARY_C", "CANARY_D")


def recipe_of(text: str, kind: SourceKind = SourceKind.USER) -> Recipe:
    registry = "arena" if kind is SourceKind.REGISTRY else ""
    return load_text(text, Source(kind, "/cache/arena/r.yaml", registry))


def dry_run(what: Rendered) -> str:
    return "\n".join(lines(offline_plan(what, None, "abcd2345", {})))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hiding.yaml"
    path.write_text(HIDING)
    return path


@pytest.mark.parametrize(
    "command", [("show",), ("run", "--dry-run"), ("show", "--json"), ("run", "--dry-run", "--json")]
)
def test_the_command_line_shows_all_that_would_run(
    command: tuple[str, ...], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run([command[0], str(file), *command[1:]], open_app=lambda demo, cluster, query: 0)
    told = capsys.readouterr()
    wanted = CANARIES if command[0] == "run" else CANARIES[:1]
    assert [name for name in wanted if name not in told.out] == []
    assert first_hidden(told.out.replace("\n", "").replace("\t", "")) is None
    if "--json" in command:
        assert r"\u001b]; touch CANARY_A\u0007" in told.out and json.loads(told.out)
    else:
        assert "␛]; touch CANARY_A␇" in told.out


def test_validate_refuses_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "validate", str(file)], open_app=lambda demo, cluster, query: 0) == 1
    told = capsys.readouterr().out
    assert told.count("[control-character]") == 4
    assert [name for name in CANARIES if name not in told] == []


def test_the_question_and_every_part_of_the_app_show_all_that_would_run() -> None:
    what = render(recipe_of(HIDING, SourceKind.REGISTRY), {})
    wanted = consent_needed(what, {})
    plan = offline_plan(what, None, "abcd2345", {})
    hooks = CANARIES[1:]
    views = {
        "question": ("\n".join(consent_lines(question(what), wanted)), hooks),
        "problems": ("\n".join(map(text_of, demand_lines(wanted, 400))), hooks),
        "plan": ("\n".join(map(text_of, plan_lines(plan, set(range(len(plan.steps))), 400)[0])), CANARIES),
        "command": ("\n".join(map(text_of, shell_lines(what.command or "", 400))), CANARIES[:1]),
        "arguments": ("\n".join(map(text_of, argv_lines([what.command or ""], 400))), CANARIES[:1]),
    }
    for name, (text, canaries) in views.items():
        assert [canary for canary in canaries if canary not in text] == [], name
        assert "␛]; touch" in text, name
        assert first_hidden(text.replace("\n", "")) is None, name


FIELDS = {
    "command": 'command: "vllm serve org/m %s"\n',
    "pre_exec": 'command: vllm serve org/m\npre_exec: ["echo %s"]\n',
    "post_exec": 'command: vllm serve org/m\npost_exec: ["echo %s"]\n',
    "post_commands": 'command: vllm serve org/m\npost_commands: ["echo %s"]\n',
    "env": 'command: vllm serve org/m\nenv: {A: "%s"}\n',
    "default": 'command: "vllm serve org/m --x {a}"\ndefaults: {a: "%s"}\n',
    "volume": 'command: vllm serve org/m\nexecutor_config: {volumes: ["/srv/a%s:/a"]}\n',
    "device": 'command: vllm serve org/m\nexecutor_config: {devices: ["/dev/x%s"]}\n',
    "entrypoint": 'command: vllm serve org/m\nexecutor_config: {entrypoint: ["a%s"]}\n',
}
PAYLOADS = (
    r"#\r; touch CANARY; #",
    r"x\r touch CANARY \r",
    r"\r\n touch CANARY",
    r"\e]; touch CANARY\a",
    r"\x9d; touch CANARY\x9c",
)
BASE = "model: org/m\nruntime: vllm\ncontainer: a/b:1\n"


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """Programs of a dry run that do nothing, so that only what escapes from their arguments can run."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("docker", "ssh", "scp", "rsync", "tar", "mkdir", "huggingface-cli", "hf", "git", "curl", "sudo"):
        (folder / name).write_text("#!/bin/sh\ncat >/dev/null 2>&1 </dev/null\nexit 0\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize("field", FIELDS)
def test_a_pasted_dry_run_runs_nothing_of_it(field: str, stubs: Path, tmp_path: Path) -> None:
    for payload in PAYLOADS:
        what = render(recipe_of(BASE + FIELDS[field] % payload), {})
        plan = offline_plan(what, None, "abcd2345", {})
        assert "control-character" in {problem.code for problem in plan.errors}, payload
        text = "\n".join(lines(plan))
        assert "CANARY" in text, "what would run is shown"
        place = tmp_path / f"{field}-{PAYLOADS.index(payload)}"
        place.mkdir()
        done = subprocess.run(
            ["bash", "-s"],
            input=text.encode(),
            cwd=place,
            env={"PATH": f"{stubs}:/usr/bin:/bin", "HOME": str(place)},
            capture_output=True,
            timeout=30,
        )
        assert b"syntax error" not in done.stderr and b"unexpected EOF" not in done.stderr, text
        assert sorted(path.name for path in place.iterdir()) == [], text


def test_a_name_with_a_line_break_stays_in_its_comment(stubs: Path, tmp_path: Path) -> None:
    what = render(recipe_of(BASE + 'name: "a\\ntouch CANARY"\ncommand: vllm serve org/m\n'), {})
    text, env = dry_run(what), {"PATH": f"{stubs}:/usr/bin:/bin", "HOME": str(tmp_path)}
    assert "touch CANARY" in text
    subprocess.run(["bash", "-s"], input=text.encode(), cwd=tmp_path, env=env, timeout=30)
    assert not (tmp_path / "CANARY").exists()


def test_a_typed_override_is_refused_too() -> None:
    recipe = recipe_of(BASE + 'command: "vllm serve org/m --x {a}"\ndefaults: {a: "1"}\n')
    for text in ("1\r; touch CANARY", "1\x1b[8m", "1\x9d"):
        found = validate(recipe, render(recipe, {"a": text}), {})
        assert {item.severity for item in found if item.code == "control-character"} == {Severity.ERROR}
    assert "control-character" not in {item.code for item in validate(recipe, render(recipe, {"a": "1\t2"}), {})}


def test_text_that_reorders_itself_is_shown_and_warned_of() -> None:
    what = render(recipe_of(BASE + 'command: "vllm serve org/m \u202e --x"\npre_exec: ["echo a\u200bb"]\n'), {})
    codes = [item.code for item in validate(what.recipe, what, {}) if item.severity is Severity.WARNING]
    assert codes.count("hidden-character") == 2
    text = dry_run(what)
    assert "\\u202e" in text and "\\u200b" in text and "are comments here" in text.splitlines()[1]


def test_line_breaks_and_tabs_are_no_control_characters() -> None:
    what = render(recipe_of(BASE + "command: |\n  vllm serve org/m \\\n  \t--x 1\n"), {})
    assert not {"control-character", "hidden-character"} & {item.code for item in validate(what.recipe, what, {})}


DROPPING = frozenset({"log_line", "log_text"})
LOGS = frozenset({
    "base/user/remembered.py",
    "base/secrets.py",
    "base/text.py",
    "cli/commands/logs.py",
    "engines/logs/lines.py",
    "engines/logs/phases.py",
    "launch/diagnosis/diagnose.py",
    "launch/prompting.py",
    "launch/record/bus.py",
    "launch/record/export.py",
    "launch/record/journal.py",
    "launch/record/log_files.py",
    "launch/record/logs.py",
    "launch/record/report.py",
    "recipe/registry/git.py",
    "remote/docker/client.py",
    "remote/docker/logs.py",
    "remote/script/jobs.py",
    "remote/transfer/images.py",
    "remote/transfer/rsync.py",
})  # fmt: skip
"""Modules that handle what programs printed, which is never executed."""


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.attr


def test_what_drops_characters_is_used_for_logs_alone() -> None:
    root = Path(sparkrun_tui.__file__).parent
    users = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if DROPPING & set(_named(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert users <= LOGS, f"use `visible` or `clean_line` in {sorted(users - LOGS)}"
