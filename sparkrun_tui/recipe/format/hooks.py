"""The commands that a recipe runs besides its engine, and its container options, read from its later fields."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sparkrun_tui.recipe.format.mounts import normal_device, normal_volume
from sparkrun_tui.recipe.format.pre_exec import Before, before_entries, listed
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.values.masking import quote_references
from sparkrun_tui.recipe.values.overrides import value_text
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.recipe.values.template import TemplateError, expand

_SIZE = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?\s*([kKmMgG]i?)?[bB]?")
_ULIMIT = re.compile(r"[a-z]+=-?[0-9]{1,18}(:-?[0-9]{1,18})?")
_VOLUME = re.compile(r"[^\0\n,:]+:/[^\0\n:]*(:[^\0\n:]*)?")
_DEVICE = re.compile(r"/dev/[^\0\n]+")
_CAPABILITY = re.compile(r"(CAP_)?[A-Z_]{2,40}")
_USER = re.compile(r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?")


MAX_HOOKS = 1 << 20
"""The most characters of all commands of one list, with the values filled in."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """The commands that a recipe runs besides its engine, with its values filled in.

    `before` runs in every container before the engine starts; the commands `after` run in the head's container once
    the server answers, and `host_after` on the head node itself. Nothing of a recipe runs on the workstation.
    """

    before: tuple[Before, ...] = ()
    after: tuple[str, ...] = ()
    host_after: tuple[str, ...] = ()
    stops: bool = False
    """Whether the server is stopped once `after` and `host_after` have run."""
    problems: tuple[Problem, ...] = ()

    @property
    def any(self) -> bool:
        """Whether there is anything to run."""
        return bool(self.before or self.after or self.host_after)


@dataclass(frozen=True, slots=True)
class ContainerOptions:
    """Options of the container from `executor_config`, checked; empty where the recipe has none.

    Volumes and devices have the normal form of `recipe.format.mounts`, in which they are judged and passed to Docker.
    `entrypoint` is None when not given; an empty tuple clears the image's own.
    """

    shm_size: str = ""
    ulimits: tuple[str, ...] = ()
    user: str = ""
    volumes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    cap_add: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    network: str = ""
    ipc: str = ""
    privileged: bool = False
    problems: tuple[Problem, ...] = ()


def hooks_of(rendered: Rendered, known: Mapping[str, str] | None = None) -> Hooks:
    """The hooks of a recipe; what cannot be read or filled in becomes a problem.

    `known` are values that only a launch has (`head_ip`, `base_url`). The commands that run once the server answers
    may use them; they win over the recipe's values.
    """
    problems: list[Problem] = []
    recipe = rendered.recipe
    before = before_entries(recipe, _filler(rendered, {}), problems)
    after = _commands(rendered, "post_exec", problems, known or {})
    host_after = _commands(rendered, "post_commands", problems, known or {})
    return Hooks(before, after, host_after, _stops(recipe, bool(after or host_after), problems), tuple(problems))


def _filler(rendered: Rendered, known: Mapping[str, str]) -> Callable[[str], str]:
    values: dict[str, str] = {}
    room = MAX_HOOKS

    def fill(text: str) -> str:
        nonlocal room
        if not values:
            # Most recipes have no hooks: their values are not needed at each keystroke.
            values.update((name, value_text(link.value)) for name, link in rendered.chain.items())
            values.update(known)
        filled = expand(text, values, doubled=rendered.recipe.version == "1").text
        room -= len(filled)
        if room < 0:
            raise TemplateError(f"all its commands together are longer than {MAX_HOOKS:,} characters", ())
        return quote_references(filled)

    return fill


def _commands(rendered: Rendered, key: str, problems: list[Problem], known: Mapping[str, str]) -> tuple[str, ...]:
    fill = _filler(rendered, known)
    found = []
    for spot, entry in listed(rendered.recipe, key, problems):
        if not isinstance(entry, str):
            message = f"an entry of `{key}` is not a shell command and is not carried out"
            problems.append(Problem(Severity.WARNING, "hook", message, spot))
            continue
        try:
            found.append(fill(entry).strip())
        except TemplateError as error:
            problems.append(Problem(Severity.ERROR, "hook", f"`{key}`: {error}", spot))
    return tuple(command for command in found if command)


def _stops(recipe: Recipe, anything: bool, problems: list[Problem]) -> bool:
    key = "stop_after_post"
    data = recipe.runtime_config.get(key)
    spot = recipe.spots.get(key) or recipe.spots.get(f"runtime_config.{key}")
    if data in (None, "", False):
        return False
    if data is not True:
        problems.append(Problem(Severity.ERROR, "hook", f"`{key}` must be true or false", spot))
        return False
    if not anything:
        message = f"`{key}` has no effect: the recipe has no `post_exec` and no `post_commands`"
        problems.append(Problem(Severity.WARNING, "hook", message, spot))
        return False
    return True


def container_options(recipe: Recipe) -> ContainerOptions:
    """The options of `executor_config`; a wrong value is an error, an unknown key a warning."""
    data = recipe.runtime_config.get("executor_config")
    if data in (None, {}, ""):
        return ContainerOptions()
    reader = _Options(recipe, data)
    network = reader.text("network", re.compile(r"[a-z][a-z0-9_.:-]*"))
    return ContainerOptions(
        shm_size=reader.text("shm_size", _SIZE),
        ulimits=reader.many("ulimit", _ULIMIT) + reader.many("ulimits", _ULIMIT),
        user=reader.text("user", _USER),
        volumes=tuple(map(normal_volume, reader.many("volumes", _VOLUME))),
        devices=reader.devices(),
        cap_add=reader.many("cap_add", _CAPABILITY),
        entrypoint=reader.entrypoint(),
        network=network,
        ipc=reader.text("ipc", re.compile(r"[a-z]+(:[\w.-]+)?")),
        privileged=reader.flag("privileged"),
        problems=reader.finish(),
    )


class _Options:
    def __init__(self, recipe: Recipe, data: Any) -> None:
        self.spot = recipe.spots.get("executor_config") or recipe.spots.get("runtime_config.executor_config")
        self.problems: list[Problem] = []
        self.read: set[str] = set()
        self.data: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        if not isinstance(data, Mapping):
            self._wrong("`executor_config` must be a mapping of keys")

    def _wrong(self, message: str, severity: Severity = Severity.ERROR) -> None:
        self.problems.append(Problem(severity, "executor-config", message, self.spot))

    def text(self, key: str, form: re.Pattern[str]) -> str:
        self.read.add(key)
        value = self.data.get(key)
        if value in (None, ""):
            return ""
        if isinstance(value, (list, dict, bool)) or form.fullmatch(str(value)) is None:
            self._wrong(f"`{str(value)[:60]}` is not a valid value of `executor_config.{key}`")
            return ""
        return str(value)

    def many(self, key: str, form: re.Pattern[str]) -> tuple[str, ...]:
        self.read.add(key)
        value = self.data.get(key)
        if value in (None, ""):
            return ()
        if isinstance(value, Mapping):
            joiner = "=" if key.startswith("ulimit") else ":"
            entries: list[Any] = [f"{name}{joiner}{part}" for name, part in value.items()]
        elif isinstance(value, list):
            entries = value
        else:
            entries = [value]
        good = []
        for entry in entries:
            if isinstance(entry, (str, int)) and form.fullmatch(str(entry)):
                good.append(str(entry))
        if len(good) != len(entries):
            self._wrong(f"a value of `executor_config.{key}` has the wrong form")
        return tuple(good)

    def devices(self) -> tuple[str, ...]:
        found = tuple(map(normal_device, self.many("devices", _DEVICE)))
        good = tuple(device for device in found if _DEVICE.fullmatch(device))
        if good != found:
            self._wrong("a path of `executor_config.devices` leads out of /dev")
        return good

    def flag(self, key: str) -> bool:
        self.read.add(key)
        value = self.data.get(key, False)
        if not isinstance(value, bool):
            self._wrong(f"`executor_config.{key}` must be true or false")
        return value is True

    def entrypoint(self) -> tuple[str, ...] | None:
        self.read.add("entrypoint")
        if "entrypoint" not in self.data:
            return None
        value = self.data["entrypoint"]
        if isinstance(value, list):
            return tuple(map(str, value))
        try:
            return tuple(shlex.split(str(value or "")))
        except ValueError:
            self._wrong("`executor_config.entrypoint` has a quote that is not closed")
            return None

    def finish(self) -> tuple[Problem, ...]:
        for key in self.data:
            if key not in self.read:
                self._wrong(f"`executor_config.{key}` is unknown and has no effect", Severity.WARNING)
        return tuple(self.problems)
