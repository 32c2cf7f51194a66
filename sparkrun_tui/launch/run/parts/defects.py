"""Reports defects of this program during a launch, with their traceback in the log of a host."""

from __future__ import annotations

import traceback

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.logs.guard import Report, RuleDefect
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.reporter import Reporter


def defect(given: Given, report: Reporter, error: BaseException, what: str = "ended the launch") -> LaunchError:
    """The error for a defect of this program; its traceback goes to the log of the head node."""
    host = given.hosts[0] if given.hosts else ""
    for line in "".join(traceback.format_exception(error)).splitlines():
        report.bus.note(host, line)
    text = f"a defect of sparkrun-tui {what}: {type(error).__name__}: {error}"
    return LaunchError(text, remedy="Please report it, with the end of this log.")


def rule_defect(report: Reporter, host: str) -> Report:
    """A function that reports a defect of a log rule in a notice, and its traceback in the log of `host`."""

    def publish(found: RuleDefect) -> None:
        for line in found.trace:
            report.bus.note(host, line)
        report.notice("warning", found.text, host)

    return publish
