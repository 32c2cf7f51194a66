"""What a memory guard has recorded, read from its host's answer: numbers within bounds, whatever the host prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sparkrun_tui.base.reading.numbers import decimal, whole
from sparkrun_tui.base.records import dataclass

_KIB = 1024
_MOST_TEXT = 200_000
"""Characters of an answer that are read: a whole record has a third of them."""
_MOST_LINES = 2000
"""Lines of one part that are read."""
_MOST_KIB = 1 << 40
_MOST_SECONDS = 1e10
_LATEST = 32_503_680_000
"""The year 3000, Unix seconds."""
_SILENT = 30.0
"""Seconds without a sample after which a guard is taken to be gone: it takes two a second."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: seconds since the host's start, bytes of MemAvailable, and the pressure.

    `pressure` is the share of the last ten seconds in which some process waited for memory, in percent; None where the
    kernel does not say.
    """

    uptime: float
    available: int
    pressure: float | None = None


@dataclass(frozen=True, slots=True)
class GuardRecord:
    """The record of one guard. `floor` is bytes; times are seconds since the start of the boot that it ran in."""

    floor: int
    past: tuple[Sample, ...] = ()
    """The least of each ten samples, oldest first."""
    recent: tuple[Sample, ...] = ()
    """Every sample of the last minute or two, oldest first."""
    stopped: Sample | None = None
    """The sample at which it first stopped the container; None where it did not."""
    ended: bool = False
    """Whether it has ended because the container had."""
    same_boot: bool = True
    """Whether the host still runs as it did when the guard began."""
    silent: bool = False
    """Whether it has not ended, and takes no samples any more."""
    began_at: float | None = None
    """When it began, Unix seconds by the host's clock; None where that is not known."""
    began: float = 0.0

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All samples in order of time: the past, then every single one since."""
        if not self.recent:
            return self.past
        first = self.recent[0].uptime
        before = [sample for sample in self.past if sample.uptime < first]
        return (*before, *self.recent)

    @property
    def last(self) -> Sample | None:
        """The newest sample."""
        return self.samples[-1] if self.samples else None

    @property
    def least(self) -> Sample | None:
        """The sample with the least memory."""
        return min(self.samples, key=lambda sample: sample.available, default=None)

    def minute(self, until: float | None = None, seconds: float = 60.0) -> tuple[Sample, ...]:
        """Every sample of the last minute before `until`, or before the newest sample."""
        if until is None:
            until = self.last.uptime if self.last is not None else 0.0
        return tuple(sample for sample in self.recent if until - seconds <= sample.uptime <= until)

    def time_of(self, sample: Sample) -> float | None:
        """When a sample was taken, Unix seconds by the host's clock; None where that is not known."""
        if self.began_at is None:
            return None
        return self.began_at + sample.uptime - self.began


def parse(text: str) -> GuardRecord | None:
    """The record in the answer of `script.read`; None when there is none, or what came is not whole."""
    text = text[:_MOST_TEXT]
    if text.startswith("missing") or "[end]" not in text.splitlines()[-1:]:
        return None
    parts = _parts(text)
    about = _pairs(parts.get("about", ()))
    floor = whole(about.get("floor", ""), most=_MOST_KIB)
    if floor is None:
        return None
    boot, uptime = _host(parts.get("host", ()))
    same_boot = not boot or boot == about.get("boot", "")
    past = _samples(parts.get("past", ()))
    recent = _samples(parts.get("now", ()))
    stopped, ended = _verdict(parts.get("verdict", ()))
    began = decimal(about.get("began", ""), least=0.0, most=_MOST_SECONDS) or 0.0
    last = max([began, *(sample.uptime for sample in recent[-1:])])
    silent = not ended and (not same_boot or (uptime is not None and uptime - last > _SILENT))
    epoch = whole(about.get("epoch", ""), most=_LATEST)
    return GuardRecord(
        floor=floor * _KIB,
        past=past,
        recent=recent,
        stopped=stopped,
        ended=ended,
        same_boot=same_boot,
        silent=silent,
        began_at=None if epoch is None else float(epoch),
        began=began,
    )


def _parts(text: str) -> Mapping[str, list[str]]:
    parts: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]"):
            lines = parts.setdefault(line[1:-1][:20], [])
        elif len(lines) < _MOST_LINES:
            lines.append(line)
    return parts


def _pairs(lines: Iterable[str]) -> Mapping[str, str]:
    pairs = {}
    for line in lines:
        key, _, value = line.partition(" ")
        pairs[key] = value.strip()
    return pairs


def _host(lines: Iterable[str]) -> tuple[str, float | None]:
    """The id of the present boot, and the seconds since it."""
    boot, uptime = "", None
    for line in lines:
        words = line.split()
        if len(words) == 1:
            boot = words[0]
        elif words:
            uptime = decimal(words[0], least=0.0, most=_MOST_SECONDS)
    return boot, uptime


def _samples(lines: Iterable[str]) -> tuple[Sample, ...]:
    """The samples of lines, in order of time; lines that are none are left out, such as one that was being written."""
    found = filter(None, map(_sample, lines))
    return tuple(sorted(found, key=lambda sample: sample.uptime))


def _sample(line: str) -> Sample | None:
    words = line.split()
    if not 2 <= len(words) <= 3:
        return None
    uptime = decimal(words[0], least=0.0, most=_MOST_SECONDS)
    available = whole(words[1], most=_MOST_KIB)
    if uptime is None or available is None:
        return None
    pressure = decimal(words[2], least=0.0, most=100.0) if len(words) == 3 else None
    return Sample(uptime, available * _KIB, pressure)


def _verdict(lines: Iterable[str]) -> tuple[Sample | None, bool]:
    """When the guard first stopped the container, and whether it has ended."""
    stopped, ended = None, False
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "stop" and stopped is None:
            stopped = _sample(rest)
        elif word == "end":
            ended = True
    return stopped, ended
