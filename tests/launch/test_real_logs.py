"""Starts that failed elsewhere: the telling lines of public reports, each with the cause that they show.

The rules were written with the logs in `first/` and `fourth/` at hand. Those in the other folders were collected apart
from that, and scored once before any of them was used to correct a rule: `#! at first:` says what was found then.
Those in `twentysecond/` and `twentyfourth/` are exceptions drawn by chance from the engines' own code, at the place
where it raises them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from sparkrun_tui.launch.diagnosis.diagnose import diagnose, explain_refusal
from sparkrun_tui.launch.record.events import Diagnosed
from tests.launch.diagnosed import SPARK, VALUES

LOGS = Path(__file__).parent / "logs"
SETS = sorted(folder.name for folder in LOGS.iterdir() if folder.is_dir())


@dataclass(frozen=True, slots=True)
class RealLog:
    """A log with what its head says: `engine`, `source`, `title` (the cause) and `repair` (a part of one)."""

    name: str
    head: dict[str, str]
    lines: tuple[str, ...]

    def diagnosed(self) -> Diagnosed | None:
        """What this program says of it. `docker` is an answer of the Docker daemon."""
        if self.head["engine"] == "docker":
            return explain_refusal("\n".join(self.lines), "spark-1", VALUES)
        return diagnose(self.head["engine"], {"spark-1": self.lines}, values=VALUES, memory_total=SPARK)


def read_logs(folder: str) -> list[RealLog]:
    """The logs of a set, by name."""
    logs = []
    for file in sorted((LOGS / folder).glob("*.log")):
        head: dict[str, str] = {}
        lines = []
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("#! "):
                key, _, value = line[3:].partition(":")
                head[key] = value.strip()
            else:
                lines.append(line)
        logs.append(RealLog(f"{folder}/{file.stem}", head, tuple(lines)))
    return logs


ALL = [log for folder in SETS for log in read_logs(folder)]


@pytest.mark.parametrize("log", ALL, ids=lambda log: log.name)
def test_the_cause_and_a_repair_of_a_real_log(log: RealLog) -> None:
    found = log.diagnosed()
    assert found is not None
    assert found.title == log.head["title"]
    if not log.head["repair"]:
        assert found.repairs == ()
        return
    offered = [f"{repair.key}={repair.value} {repair.title} {repair.why}" for repair in found.repairs]
    assert [text for text in offered if log.head["repair"] in text], offered


def test_every_log_says_where_it_comes_from() -> None:
    assert len(ALL) >= 600
    assert [log.name for log in ALL if not log.head.get("source") or not log.lines] == []
