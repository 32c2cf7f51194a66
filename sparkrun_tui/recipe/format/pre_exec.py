"""What a recipe runs in every container before its engine: shell commands, copies of files, and mods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sparkrun_tui.base.errors import Spot
from sparkrun_tui.base.reading.numbers import decimal_of
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.values.template import TemplateError

MODS_FOLDER = "/workspace/mods"
"""The folder of a container for mods, and for copies without a `dest`; mods rely on it."""

_MOD = late_regex(r"(@[A-Za-z0-9][\w.-]{0,63}/)?[\w][\w.+-]*(/[\w][\w.+-]*)*")
_SOURCE = late_regex(r"[^\0\n]+")
_TARGET = late_regex(r"/[^\0\n]*")
_COPY_KEYS = frozenset({"copy", "dest", "source_host"})
_COMMAND_KEYS = frozenset({"command", "timeout"})
MAX_ENTRIES = 100
"""The most entries of one list: each is a shell of its own on every host, with some twenty variables."""
MAX_TIMEOUT = 7 * 24 * 3600
"""The most seconds that a hook may be given."""


@dataclass(frozen=True, slots=True)
class Before:
    """One entry of `pre_exec` or of `mods`: a shell `command`, or files of this machine to copy.

    `source` is the path of the files as the recipe writes it, or the mod's name; `target` is their place in the
    container. A mod is a folder: its `run.sh` is run there once it is copied.
    """

    key: str
    """`pre_exec` or `mods`."""
    command: str = ""
    source: str = ""
    target: str = ""
    spot: Spot | None = None
    timeout: float | None = None
    """Seconds that the command may take; None where the recipe does not say, 0 for any time."""

    @property
    def is_mod(self) -> bool:
        """Whether it is one of `mods`."""
        return self.key == "mods"


def before_entries(recipe: Recipe, fill: Callable[[str], str], problems: list[Problem]) -> tuple[Before, ...]:
    """All entries in the order in which they run: `pre_exec`, then `mods`.

    `fill` puts the recipe's values into a text and raises `TemplateError`. The rest becomes `problems`.
    """
    found: list[Before] = []
    for spot, entry in listed(recipe, "pre_exec", problems):
        try:
            made = _pre_exec(entry, spot, fill)
        except TemplateError as error:
            problems.append(Problem(Severity.ERROR, "hook", f"`pre_exec`: {error}", spot))
            continue
        if isinstance(made, Problem):
            problems.append(made)
        elif made.command or made.source:
            found.append(made)
    for spot, entry in listed(recipe, "mods", problems):
        if entry is None or entry == "":
            continue
        mod = _mod(entry, spot)
        if isinstance(mod, Problem):
            problems.append(mod)
        else:
            found.append(mod)
    return tuple(found)


def listed(recipe: Recipe, key: str, problems: list[Problem]) -> Iterator[tuple[Spot | None, Any]]:
    """The entries of a list of the recipe, each with its place.

    A single text counts as a list of one, and so does one command with its time as a mapping.
    """
    data = recipe.runtime_config.get(key)
    spot = recipe.place_of(key)
    if data in (None, "", []):
        return
    is_name = key == "mods"
    if isinstance(data, str) or (isinstance(data, Mapping) and not is_name):
        data = [data]
    if not isinstance(data, list):
        what = "names" if is_name else "commands"
        problems.append(Problem(Severity.ERROR, "hook", f"`{key}` must be a list of {what}", spot))
        return
    if len(data) > MAX_ENTRIES:
        message = f"`{key}` has {len(data):,} entries; at most {MAX_ENTRIES} are carried out"
        problems.append(Problem(Severity.ERROR, "hook", message, spot, "put several commands into one script"))
    for number, entry in enumerate(data[:MAX_ENTRIES], 1):
        yield recipe.spots.get(f"{key}[{number}]") or spot, entry


def _pre_exec(entry: Any, spot: Spot | None, fill: Callable[[str], str]) -> Before | Problem:
    if isinstance(entry, Mapping) and "copy" in entry:
        return _copy(entry, spot, fill)
    timed = timed_command("pre_exec", entry, spot)
    if isinstance(timed, Problem):
        return timed
    command, timeout = timed
    return Before("pre_exec", fill(command).strip(), spot=spot, timeout=timeout)


def timed_command(key: str, entry: Any, spot: Spot | None) -> tuple[str, float | None] | Problem:
    """A command as a text or as `{command, timeout}`, with its seconds: None where not given, 0 for any time."""
    if isinstance(entry, str):
        return entry, None
    kinds = "a command, or `{command: ..., timeout: SECONDS}`"
    if key == "pre_exec":
        kinds += ", or `{copy: ..., dest: ...}`"
    if not isinstance(entry, Mapping) or "command" not in entry:
        return _wrong(f"an entry of `{key}` is not a command", spot, f"write it as {kinds}")
    unknown = sorted(map(str, entry.keys() - _COMMAND_KEYS))
    if unknown:
        return _wrong(f"a command of `{key}` has no key `{unknown[0][:40]}`", spot, "its keys are `command`, `timeout`")
    command = entry["command"]
    if not isinstance(command, str) or not command.strip():
        return _wrong(f"a command of `{key}` must be a text", spot)
    if "timeout" not in entry:
        return command, None
    timeout = decimal_of(entry["timeout"], most=MAX_TIMEOUT)
    if timeout is None or timeout < 0:
        shown = str(entry["timeout"])[:40]
        remedy = "write `timeout: 600`, or 0 for any time"
        return _wrong(f"the `timeout` of a command of `{key}` must be a number of seconds, not `{shown}`", spot, remedy)
    return command, timeout


def _copy(entry: Mapping[str, Any], spot: Spot | None, fill: Callable[[str], str]) -> Before | Problem:
    unknown = sorted(map(str, entry.keys() - _COPY_KEYS))
    if "command" in unknown:
        return _wrong("an entry of `pre_exec` has both `copy` and `command`", spot, "write two entries")
    if unknown:
        return _wrong(f"a copy of `pre_exec` has no key `{unknown[0][:40]}`", spot, "its keys are `copy` and `dest`")
    if entry.get("source_host"):
        remedy = "put the files beside the recipe and leave `source_host` out"
        return _wrong("files are not copied from another host (`source_host`)", spot, remedy)
    copied = entry["copy"]
    wanted = entry.get("dest") or ""
    if not isinstance(copied, str) or not isinstance(wanted, str):
        return _wrong("`copy` and `dest` must be paths", spot)
    source = fill(copied).strip()
    target = fill(wanted).strip()
    if not target:
        target = f"{MODS_FOLDER}/{source.rstrip('/').rpartition('/')[2]}"
    if _SOURCE.fullmatch(source) is None:
        return _wrong("`copy` must name a file or a folder", spot)
    if _TARGET.fullmatch(target) is None:
        return _wrong(f"`dest` must be an absolute path in the container, not `{shorten(target, 60)}`", spot)
    return Before("pre_exec", source=source, target=target, spot=spot)


def _mod(entry: Any, spot: Spot | None) -> Before | Problem:
    name = ""
    if isinstance(entry, str):
        name = entry.strip().rstrip("/").removeprefix("./")
    if _MOD.fullmatch(name) is None:
        shown = str(entry)[:60]
        return _wrong(f"`{shown}` is not the name of a mod", spot, "write it as NAME, mods/NAME or @REGISTRY/NAME")
    return Before("mods", source=name, target=f"{MODS_FOLDER}/{name.rpartition('/')[2]}", spot=spot)


def _wrong(message: str, spot: Spot | None, remedy: str = "") -> Problem:
    return Problem(Severity.ERROR, "hook", message, spot, remedy)
