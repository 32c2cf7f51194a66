"""Writes the flag data of an engine: `make_flag_history.py ENGINE FOLDER [DUMP]`.

FOLDER holds wheels or source archives of several releases, as a package registry's client fetches them, up to the
release whose flags are shipped (for llama.cpp: packages with its sources). DUMP is what the parser of that release
itself says, a list of entries as `engines.dumps.compact` takes them, in JSON; without it the shipped
`flags-VERSION.json` stays. Written is `history.json`, one table of what came and went with which release:

- `came` and `gone` hold a spelling, or a spelling and one of its values (`--kv-cache-dtype=nvfp4`), with the last
  release before the change and the first one after it;
- `as_now` holds flags whose values were read in another way before.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.flag_sources import Declared, Release, read_release
from sparkrun_tui.engines.dumps import EngineFlag, compact, load_flags
from sparkrun_tui.engines.registry import FAMILIES

Change = list[str]
"""The last release before it, and the first one after it."""
EXACT: Mapping[str, Mapping[str, int]] = {
    # The build whose commit removed these words after they had been deprecated for --load-mode (llama.cpp #20834).
    "llama-cpp": dict.fromkeys(
        ("--mmap", "--no-mmap", "--mlock", "--direct-io", "--no-direct-io", "-dio", "-ndio"), 10875
    ),
}
"""The first build without a word, where it is known better than from the packages."""


def main(engine: str, folder: str, dump: str = "") -> int:
    """Write the history of an engine."""
    family = FAMILIES[engine]
    target = Path(__file__).resolve().parents[1] / "sparkrun_tui" / "engines" / family.folder
    if dump:
        entries = json.loads(Path(dump).read_text(encoding="utf-8"))
        text = compact(entries, from_help=family.gguf)
        (target / f"flags-{family.known_version}.json").write_text(text, encoding="utf-8")
    flags = list(dict.fromkeys(load_flags(family).by_spelling.values()))
    found = [read_release(path) for path in sorted(Path(folder).iterdir())]
    releases = {release.version: release for release in found if release is not None and release.declared}
    last = Release(family.known_version)
    kept = sorted((item for item in releases.values() if item.order <= last.order), key=lambda item: item.order)
    history = History(kept, flags, family.known_version)
    table = {
        "releases": history.names,
        "came": history.came(),
        "gone": {word: narrowed(engine, word, change) for word, change in history.gone().items()},
        "as_now": history.as_now(),
    }
    (target / "history.json").write_text(text_of(table), encoding="utf-8")
    counts = ", ".join(f"{name} {len(part)}" for name, part in table.items())
    print(f"{history.names[0]} to {history.names[-1]}: {counts}")
    return 0


def narrowed(engine: str, word: str, change: Change) -> Change:
    """A change with its exact build, where it is known and lies between the packages."""
    exact = EXACT.get(engine, {}).get(word, 0)
    before, after = (int(name.lstrip("b").partition(".")[0]) for name in change)
    return [f"b{exact - 1}", f"b{exact}"] if before < exact <= after else change


class History:
    """What changed over some releases, the flags of the last of them being known from its parser."""

    def __init__(self, releases: Sequence[Release], flags: Sequence[EngineFlag], version: str) -> None:
        self.releases = releases
        self.flags = flags
        self.names = [release.version for release in releases]
        if self.names[-1] != version:
            self.names.append(version)
        self.now = {word for flag in flags for word in flag.spellings}

    def _change(self, there: Sequence[bool]) -> Change | None:
        """When something came for good, from whether it was there in each release; None if it always was."""
        known = [*there, *[True] * (len(self.names) - len(there))]
        if False not in known:
            return None
        at = len(known) - known[::-1].index(False)
        return [self.names[at - 1], self.names[at]] if at < len(known) else None

    def came(self) -> dict[str, Change]:
        """Spellings and values that were added."""
        found: dict[str, Change] = {}
        for flag in self.flags:
            for word in flag.spellings:
                change = self._change([self._has(release, word, flag) for release in self.releases])
                if change is not None:
                    found[word] = change
            for value in self._values(flag):
                there = [value in (declared.choices or ()) for declared in self._read_alike(flag)]
                start = len(self.releases) - len(there)
                change = self._change([*[there[0]] * start, *there]) if there else None
                if change is not None and change != found.get(flag.name) and value in flag.choices:
                    found[f"{flag.name}={value}"] = change
        return found

    def gone(self) -> dict[str, Change]:
        """Spellings and values that were removed."""
        found: dict[str, Change] = {}
        for word in sorted(set().union(*(release.words for release in self.releases))):
            there = [word in release.words for release in self.releases]
            if word in self.now and False in there:
                # It came again: what counts is when it went before that.
                there = there[: len(there) - there[::-1].index(False)]
            elif word in self.now:
                continue
            change = self._end(there)
            if change is not None:
                found[word] = change
        for flag in self.flags:
            for value in set(self._values(flag)) - set(flag.choices):
                there = [value in (declared.choices or ()) for declared in self._read_alike(flag)]
                change = self._end([*[False] * (len(self.releases) - len(there)), *there])
                if change is not None:
                    found[f"{flag.name}={value}"] = change
        return found

    def _end(self, there: Sequence[bool]) -> Change | None:
        """When something went for good; None where the newest sources still have it and are the newest release."""
        at = len(there) - 1 - there[::-1].index(True) if True in there else -1
        return [self.names[at], self.names[at + 1]] if 0 <= at < len(self.names) - 1 else None

    def as_now(self) -> dict[str, Change]:
        """Flags whose values were read in another way before."""
        found: dict[str, Change] = {}
        for flag in self.flags:
            if flag.kind in ("value", "open") or self._declared(flag):
                alike = len(self._read_alike(flag))
                first = self._first(flag)
                if alike < len(self.releases) - first:
                    at = len(self.releases) - alike
                    found[flag.name] = [self.names[at - 1], self.names[min(at, len(self.names) - 1)]]
        return found

    def _first(self, flag: EngineFlag) -> int:
        """The index of the release from which on a flag is there."""
        there = [self._has(release, flag.name, flag) for release in self.releases]
        return len(there) - there[::-1].index(False) if False in there else 0

    def _read_alike(self, flag: EngineFlag) -> list[Declared]:
        """The declarations of the newest releases that read the flag as the newest one does, oldest first.

        A flag with choices counts only where its sources give the same choices as its parser: else it is not known how
        earlier choices have to be read.
        """
        newest = self._declared(flag)
        found: list[Declared] = []
        if newest is None or (flag.choices and not same(newest.choices, flag.choices)):
            return found
        for release in reversed(self.releases[self._first(flag) :]):
            declared = self._in(release, flag)
            if declared is None or declared.form != newest.form:
                break
            if flag.choices and not declared.choices:
                break
            found.insert(0, declared)
        return found

    def _declared(self, flag: EngineFlag) -> Declared | None:
        """How the newest sources declare a flag."""
        return self._in(self.releases[-1], flag)

    @staticmethod
    def _in(release: Release, flag: EngineFlag) -> Declared | None:
        for word in (flag.name, *flag.spellings):
            if word in release.declared:
                return release.declared[word]
        return None

    def _has(self, release: Release, word: str, flag: EngineFlag) -> bool:
        """Whether a release had a spelling. A `--no-` form that no source spells out counts as old as its flag."""
        if word in release.words:
            return True
        made = word.startswith("--no-") and not any(word in item.words for item in self.releases)
        return made and any(spelling in release.words for spelling in flag.spellings)

    def _values(self, flag: EngineFlag) -> list[str]:
        """All values that a flag has or had, as far as its sources can be read."""
        if not flag.choices:
            return []
        found = {value for declared in self._read_alike(flag) for value in declared.choices or ()}
        return sorted(found - {"None"})


def same(choices: Iterable[str] | None, known: Iterable[str]) -> bool:
    """Whether two lists hold the same words; `None` as a word is left out."""
    return choices is not None and {*choices} - {"None"} == {*known} - {"None"}


def text_of(table: Mapping[str, object]) -> str:
    """The table as JSON, one line a flag."""
    parts = []
    for name, part in table.items():
        if isinstance(part, dict):
            rows = ",\n".join(f"{json.dumps(key)}:{json.dumps(part[key])}" for key in sorted(part))
            parts.append(f'"{name}":{{\n{rows}\n}}')
        else:
            parts.append(f'"{name}":{json.dumps(part)}')
    return "{" + ",\n".join(parts) + "}\n"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
