"""The report of a launch as Markdown, to paste into an issue: what was launched, why it failed, and what it printed.

Secrets are masked, and names that say who and where: hosts, users, home folders and addresses have other names in it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from sparkrun_tui import __version__
from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import private_folder, write_private
from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import without_named
from sparkrun_tui.base.text import log_line
from sparkrun_tui.base.units import format_duration
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import AnyEvent, StepState
from sparkrun_tui.launch.record.guard_words import guard_words
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.record.narration import Narrator, diagnosis_lines, fact_text
from sparkrun_tui.launch.record.state import Cell, LaunchState

LAST_LINES = 60
"""Log lines of each host in a report."""
MOST_EVENTS = 120
"""Events in a report, half of them the first ones and half the last."""

_HOME = late_regex(r"/(?:home|Users)/[^/\s:'\"]+")
_ADDRESS = late_regex(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
_COLONS = late_regex(r"(?<![0-9A-Za-z:])[0-9A-Za-z]{0,40}:[0-9A-Za-z:]+")
_LONGEST = 100
"""Letters of a word with colons that may hold an address."""
_MARKUP = late_regex(r"[\\`*_\[\]<>#!]")
_NO_NAME = late_regex(r"[^A-Za-z0-9._-]+")
_FENCE = late_regex(r"~+")
_OF_EVERYBODY = ("127.", "0.0.0.0", "255.")
_ANYBODY = frozenset({"root", "admin", "docker", "nvidia", "ubuntu", "user"})
_ANY_HOST = frozenset({"localhost", "localhost.localdomain"})
_SIGNS = {
    StepState.OK: "ok",
    StepState.SKIPPED: "skipped",
    StepState.FAILED: "FAILED",
    StepState.CANCELLED: "cancelled",
    StepState.UNKNOWN: "unknown",
    StepState.RUNNING: "running",
    StepState.PENDING: "",
}


def report(
    state: LaunchState,
    events: Iterable[AnyEvent],
    logs: Mapping[str, Sequence[LogLine]],
    redact: Callable[[str], str],
) -> str:
    """The report as Markdown. `logs` are the last lines of each host; `redact` masks secrets."""
    hide = _Names(state, redact)
    parts = [_head(state, hide), _phases(state, hide)]
    if state.diagnosis is not None:
        parts.insert(1, "## Why\n\n" + hide.block(diagnosis_lines(state.diagnosis)))
    notices = [
        f"- {hide.prose(f'{notice.level}: {notice.text}')}" for notice in state.notices if notice.level != "note"
    ]
    if notices:
        parts.append("## Warnings\n\n" + "\n".join(notices))
    parts.append("## What happened\n\n" + hide.block(_cut(_told(events))))
    for host, lines in logs.items():
        if lines:
            title = f"## Last lines of {hide.prose(host)}"
            parts.append(f"{title}\n\n" + hide.block(line.text for line in lines[-LAST_LINES:]))
    return "\n\n".join(parts) + "\n"


def save_report(state: LaunchState, text: str, now: float | None = None) -> Path:
    """Write a report into a file that only its owner may read; its path. Raises `SparkrunError`."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    name = _NO_NAME.sub("-", f"{state.recipe}-{state.launch_id}-{stamp}").strip("-.")
    path = paths.state_dir() / "reports" / f"{name}.md"
    try:
        private_folder(path.parent)
        write_private(path, text)
    except OSError as error:
        raise SparkrunError(
            f"the report cannot be saved in {path.parent}: {error.strerror or error}",
            remedy="Check the room on the disk. `sparkrun-tui history show ID --report` prints it, too.",
        ) from error
    return path


def _head(state: LaunchState, hide: _Names) -> str:
    rows = [
        ("engine", state.engine),
        ("model", state.model),
        ("hosts", str(len(state.hosts))),
        ("started", _moment(state.started)),
        ("ready after", _span(state.started, state.ready_at)),
        ("ended after", _span(state.started, state.ended)),
        ("sparkrun-tui", __version__),
    ]
    rows += [(f"override {key}", value) for key, value in sorted(state.settings.items())]
    figures = [fact_text(name, value) for name, value in sorted(state.facts.items())]
    rows.append(("figures", ", ".join(text for text in figures if text)))
    for row in state.hosts.values():
        if row.guard is not None:
            rows.append((f"memory guard of {row.name}", guard_words(row.guard)))
    title = f"# {hide.prose(state.recipe)}: {state.status.value}"
    if state.detail:
        title += f"\n\n{hide.prose(state.detail)}"
    lines = [title, "", "| | |", "|---|---|"]
    lines += [f"| {hide.cell(name)} | {hide.cell(value)} |" for name, value in rows if value]
    return "\n".join(lines)


def _phases(state: LaunchState, hide: _Names) -> str:
    phases = [phase for phase in Phase if any(phase in row.cells for row in state.hosts.values())]
    if not phases:
        return "## Phases\n\nNone has begun."
    lines = ["## Phases", "", f"| host | {' | '.join(phases)} |", "|---" * (len(phases) + 1) + "|"]
    for row in state.hosts.values():
        cells = [hide.cell(_cell(row.cells.get(phase))) for phase in phases]
        lines.append(f"| {hide.cell(row.name)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    words = [_SIGNS[cell.state], _span(cell.started, cell.ended), cell.detail]
    return " ".join(word for word in words if word)


def _told(events: Iterable[AnyEvent]) -> Iterator[str]:
    narrator = Narrator()
    for event in events:
        yield from narrator.lines(event)


def _cut(lines: Iterable[str]) -> list[str]:
    found = list(lines)
    if len(found) <= MOST_EVENTS:
        return found
    half = MOST_EVENTS // 2
    return [*found[:half], f"… {len(found) - MOST_EVENTS} more …", *found[-half:]]


def _moment(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _span(start: float | None, end: float | None) -> str:
    if start is None or end is None:
        return ""
    return format_duration(max(end - start, 0))


def _names_somebody(user: str) -> bool:
    """Whether the name of a user says who it is; those that everybody has are words of logs, too."""
    return len(user) > 2 and user not in _ANYBODY


def _names_a_machine(text: str) -> bool:
    """Whether digits and colons are an address of IPv6 that is not everybody's: times and commits have colons, too."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return not address.is_loopback and not address.is_unspecified


class _Names:
    """Gives other names to hosts, users, home folders and addresses, the same ones each time."""

    def __init__(self, state: LaunchState, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._addresses: dict[str, str] = {}
        self._hosts: list[tuple[re.Pattern[str], str]] = []
        named: dict[str, str] = {}
        for row in sorted(state.hosts.values(), key=lambda row: row.rank):
            other = f"host-{row.rank + 1}"
            named.setdefault(row.name, other)
            user, _, address = row.name.rpartition("@")
            named.setdefault(address, other)
            for name in row.own_names:
                if len(name) > 2 and name not in _ANY_HOST:
                    named.setdefault(name, other)
            for name in (user, row.user):
                if _names_somebody(name):
                    named.setdefault(name, "user")
        if state.cluster:
            named.setdefault(state.cluster, "the cluster")
        user = os.environ.get("USER", "")
        if _names_somebody(user):
            named.setdefault(user, "user")
        for name in sorted(named, key=len, reverse=True):
            if name:
                self._hosts.append((re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)"), named[name]))

    def plain(self, text: str) -> str:
        """A text on one line, without secrets and without names."""
        text = self._redact(without_named(log_line(text.replace("\n", " "))))
        text = _HOME.sub("~", text)
        for pattern, other in self._hosts:
            text = pattern.sub(other, text)
        return _COLONS.sub(self._address_6, _ADDRESS.sub(self._address, text))

    def _address_6(self, found: re.Match[str]) -> str:
        before, rest = "", found[0]
        if len(rest) > _LONGEST:
            return rest
        while ":" in rest:
            if _names_a_machine(rest):
                return before + self._addresses.setdefault(rest, f"address-{len(self._addresses) + 1}")
            # An interface or a name may stand before an address.
            word, colon, rest = rest.partition(":")
            before += word + colon
        return found[0]

    def _address(self, found: re.Match[str]) -> str:
        if found[0].startswith(_OF_EVERYBODY):
            return found[0]
        return self._addresses.setdefault(found[0], f"address-{len(self._addresses) + 1}")

    def prose(self, text: str) -> str:
        """A text outside of code: what would be a link, a picture, a tag or a mention of somebody is shown as typed."""
        return _MARKUP.sub(r"\\\g<0>", self.plain(text)).replace("@", "@\u200b")

    def cell(self, text: str) -> str:
        """A text for a cell of a table."""
        return self.prose(text).replace("|", "\\|")

    def block(self, lines: Iterable[str]) -> str:
        """Lines as a block of code, whose fence none of them ends."""
        kept = [self.plain(line) for line in lines]
        longest = max((len(run) for line in kept for run in _FENCE.findall(line)), default=0)
        fence = "~" * max(longest + 1, 3)
        return "\n".join([f"{fence}text", *kept, fence])
