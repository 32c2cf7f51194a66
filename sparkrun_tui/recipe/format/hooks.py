"""The commands that a recipe runs besides its engine, and its container options, read from its later fields."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from sparkrun_tui.base.reading.numbers import decimal
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.recipe.format.keys import NOT_DONE
from sparkrun_tui.recipe.format.pre_exec import Before, before_entries, listed, timed_command
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.names.local_model import LocalModel, local_model
from sparkrun_tui.recipe.names.mounts import normal_device, normal_volume
from sparkrun_tui.recipe.values.masking import quote_references
from sparkrun_tui.recipe.values.overrides import rejoined
from sparkrun_tui.recipe.values.rendered import Rendered, value_text
from sparkrun_tui.recipe.values.template import TemplateError, expand

_SIZE = late_regex(r"[0-9]{1,15}(\.[0-9]{1,6})?\s*([kKmMgG]i?)?[bB]?")
_ULIMIT = late_regex(r"[a-z]+=-?[0-9]{1,18}(:-?[0-9]{1,18})?")
_VOLUME = late_regex(r"[^\0\n,:]+:/[^\0\n:]*(:[^\0\n:]*)?")
_DEVICE = late_regex(r"/dev/[^\0\n]+")
_CAPABILITY = late_regex(r"(CAP_)?[A-Z_]{2,40}")
_USER = late_regex(r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?")
RESTART_POLICY = late_regex(r"no|always|unless-stopped|on-failure(:[0-9]{1,4})?")
_SECURITY = late_regex(r"[a-z][a-z-]{1,40}([=:][A-Za-z0-9_./:@+-]{1,200})?")
_LABEL = late_regex(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}(=[^\0\n\r]{0,1000})?")
_DONE_ANYWAY: Mapping[str, Any] = {"auto_remove": False, "gpus": "all", "gpu_access_mode": "gpus"}
"""Options that are not carried out, by the value that asks for what happens here."""
_SMALLEST_MEMORY = 6 << 20
"""Bytes; Docker refuses a lower limit."""
OWN_LABELS = late_regex(r"(io\.)?sparkrun-tui(\.|$)", re.IGNORECASE)
"""Labels by which this program finds its containers."""
PEER_LABELS = late_regex(r"(io\.)?sparkrun(\.|$)|com\.docker\.", re.IGNORECASE)
"""Labels by which other programs find theirs."""


_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
MAX_HOOKS = 1 << 20
"""The most characters of all commands of one list, with the values filled in."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A command, and the seconds that it may take: None where the recipe does not say, 0 for any time."""

    command: str
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Hooks:
    """The commands that a recipe runs besides its engine, with its values filled in.

    `before` runs in every container before the engine starts; the commands `after` run in the head's container once
    the server answers, and `host_after` on the head node itself. Nothing of a recipe runs on the workstation.
    """

    before: tuple[Before, ...] = ()
    after: tuple[Timed, ...] = ()
    host_after: tuple[Timed, ...] = ()
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

    Volumes and devices have the normal form of `recipe.names.mounts`, in which they are judged and passed to Docker.
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
    memory_limit: str = ""
    restart_policy: str = ""
    """`always`, `unless-stopped`, `on-failure` or `on-failure:3`; empty where Docker is not to restart it."""
    security_opt: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """Each `NAME=VALUE`; none of this program's own."""
    problems: tuple[Problem, ...] = ()


def time_text(timeout: float | None) -> str:
    """The time that a command may take, as words behind its place; empty where the recipe does not say."""
    if timeout is None:
        return ""
    if not timeout:
        return ", for as long as it takes"
    return f", for at most {timeout:g} s"


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
        return quote_references(rejoined(filled))

    return fill


def _commands(rendered: Rendered, key: str, problems: list[Problem], known: Mapping[str, str]) -> tuple[Timed, ...]:
    fill = _filler(rendered, known)
    found = []
    for spot, entry in listed(rendered.recipe, key, problems):
        timed = timed_command(key, entry, spot)
        if isinstance(timed, Problem):
            problems.append(timed)
            continue
        command, timeout = timed
        try:
            found.append(Timed(fill(command).strip(), timeout))
        except TemplateError as error:
            problems.append(Problem(Severity.ERROR, "hook", f"`{key}`: {error}", spot))
    return tuple(timed for timed in found if timed.command)


def _stops(recipe: Recipe, anything: bool, problems: list[Problem]) -> bool:
    key = "stop_after_post"
    data = recipe.runtime_config.get(key)
    spot = recipe.place_of(key)
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
        memory_limit=reader.memory_limit(),
        restart_policy=reader.text("restart_policy", RESTART_POLICY).removeprefix("no"),
        security_opt=reader.security_opt(),
        labels=reader.labels(),
        problems=reader.finish(),
    )


def size_bytes(text: str) -> int:
    """The bytes of a size in Docker's form: `64gb`, `512m`, `10.24gb`, or a bare number of bytes.

    Raises `ValueError` for another text.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kmg]?)i?b?", text.strip().lower())
    if match is not None:
        number = decimal(match[1])
        if number is not None:
            return int(number * _UNITS[match[2]])
    raise ValueError(f"`{shorten(text, 60)}` is not a size")


def _word(part: Any) -> str:
    """A value of a mapping as a text; booleans as YAML writes them."""
    if isinstance(part, bool):
        return "true" if part else "false"
    return "" if part is None else str(part)


def model_on_hosts(recipe: Recipe) -> LocalModel | None:
    """The model of a recipe where it is named by a path of the hosts; None for other models."""
    projector = recipe.runtime_config.get("mmproj")
    if not isinstance(projector, str):
        projector = ""
    return local_model(recipe.model, container_options(recipe).volumes, projector)


class _Options:
    def __init__(self, recipe: Recipe, data: Any) -> None:
        self.spot = recipe.place_of("executor_config")
        self.problems: list[Problem] = []
        self.read: set[str] = set()
        self.data: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        if not isinstance(data, Mapping):
            self._wrong("`executor_config` must be a mapping of keys")

    def _wrong(self, message: str, severity: Severity = Severity.ERROR, remedy: str = "") -> None:
        self.problems.append(Problem(severity, "executor-config", message, self.spot, remedy))

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
            joiner = "=" if key.startswith(("ulimit", "labels")) else ":"
            entries: list[Any] = [f"{name}{joiner}{_word(part)}" for name, part in value.items()]
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

    def memory_limit(self) -> str:
        limit = self.text("memory_limit", _SIZE)
        if limit and size_bytes(limit) < _SMALLEST_MEMORY:
            self._wrong(f"`executor_config.memory_limit: {limit}` is less than the 6 MiB that Docker asks for")
            return ""
        return limit

    def security_opt(self) -> tuple[str, ...]:
        good = []
        for option in self.many("security_opt", _SECURITY):
            name, _, value = option.replace(":", "=", 1).partition("=")
            if name == "seccomp" and value not in ("unconfined", "builtin"):
                self._wrong(
                    f"`executor_config.security_opt: {option}` names a profile in a file, which is not on the hosts",
                    remedy="`seccomp=unconfined` and `seccomp=builtin` need no file",
                )
            else:
                good.append(option)
        return tuple(good)

    def labels(self) -> tuple[str, ...]:
        good = []
        for label in self.many("labels", _LABEL):
            name = label.partition("=")[0]
            if OWN_LABELS.match(name):
                shown = shorten(name, 60)
                message = f"`executor_config.labels` may not set `{shown}`: this program finds its containers by it"
                self._wrong(message, remedy="choose another name")
            else:
                good.append(label if "=" in label else f"{label}=")
        return tuple(dict.fromkeys(good))

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
        for key, value in self.data.items():
            if key in self.read or (key in _DONE_ANYWAY and value == _DONE_ANYWAY[key]):
                continue
            does = NOT_DONE.get(f"executor_config.{key}")
            if does:
                message = f"`executor_config.{key}` ({does}) is not carried out by this program"
            else:
                message = f"`executor_config.{key}` is unknown and has no effect"
            self._wrong(message, Severity.WARNING)
        return tuple(self.problems)
