"""What the Docker Engine API answers, as values; foreign text in them has passed the gate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading.decoded import Decoded, ShapeError
from sparkrun_tui.base.reading.numbers import decimal, whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import Secret, secrets_given
from sparkrun_tui.base.text import clean_line

MOST_CONTAINERS = 1000
"""Containers of one host that are asked for, newest first."""

MOST_IMAGES = 2000
"""Images of one host that are taken in."""

_ID = late_regex(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,254}", re.ASCII)
_EXITED = late_regex(r"Exited \((-?[0-9]{1,10})\)", re.ASCII)
_MOST_MOUNTS = 1000
_MOST_NAMES = 64
"""Names of one image that are read, and digests: each name is an entry of its own in the lists of images."""
_MOST_LABELS = 1000
"""Labels that are read of a container or an image, whose maker may give it any number."""

_ARCHES = {"aarch64": "arm64", "x86_64": "amd64"}
_MOST_CODE = 1 << 32
"""Beyond every exit code: Windows containers have codes of 32 bits."""
_LAST_MOMENT = 32_503_680_000.0
"""The year 3000: calendars cannot show every later moment, and what is stamped so is not known."""


def docker_arch(processor: str) -> str:
    """Docker's name of a processor that its kernel calls `aarch64` or `x86_64`; any other name stays."""
    return _ARCHES.get(processor, processor)


class DockerError(HostError):
    """The Docker daemon refused; `status` is the HTTP status (404 no such thing, 409 the name is taken)."""

    def __init__(self, what: str, *, host: str = "", status: int = 0, remedy: str = "") -> None:
        super().__init__(what, host=host, remedy=remedy)
        self.status = status


@dataclass(frozen=True, slots=True)
class DockerInfo:
    """What a daemon says of itself. `api` is the version of the API spoken with it."""

    version: str
    api: str
    root: str
    driver: str
    log_driver: str
    arch: str
    runtimes: tuple[str, ...]
    cdi: bool


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image on a host. Ids differ between image stores, so `same_content` compares digests and layers."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    layers: tuple[str, ...]
    os: str
    arch: str
    size: int
    env: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def same_content(self, other: ImageInfo) -> bool:
        """Whether both are the same image, also when different stores hold them."""
        mine = {digest.rpartition("@")[2] for digest in self.digests}
        if mine & {digest.rpartition("@")[2] for digest in other.digests}:
            return True
        return bool(self.layers) and (self.layers, self.os, self.arch) == (other.layers, other.os, other.arch)


@dataclass(frozen=True, slots=True)
class ImageListed:
    """An image in a host's list: its id, its names, the digests by which registries know it, bytes with all layers.

    `created` is when it was built, Unix seconds; None where it is not known.
    """

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size: int
    created: float | None = None


@dataclass(frozen=True, slots=True)
class ImageProgram:
    """Whether an image has a program; `version` is that of its Python package, empty where it is not known."""

    present: bool
    version: str = ""


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """One container. `state` is Docker's word; times are Unix seconds."""

    id: str
    name: str
    image: str
    state: str
    labels: Mapping[str, str]
    created: float | None = None
    started: float | None = None
    finished: float | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    restarts: int = 0
    """How often Docker has restarted it by itself."""
    error: str = ""
    tty: bool = False
    log_driver: str = ""
    secrets: tuple[Secret, ...] = ()
    """What Docker shows of secrets that it was given, by variables and arguments; only a whole look has them."""
    image_id: str = ""
    """The id of its image; empty where it is not known."""
    mounts: tuple[str, ...] = ()
    """The folders and files of the host that it mounts."""
    volumes: tuple[str, ...] = ()
    """The names of the volumes that it mounts."""
    mounts_known: bool = True
    """Whether the daemon said what it mounts: Podman's lists do not."""
    command: str = field(default="", repr=False)
    """What it runs, to search in; it may hold secrets, and is never shown. Only lists have it."""
    restart_policy: str = ""
    """When Docker starts it again (`no`, `unless-stopped`, ...); only a whole look has it."""

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.state in ("running", "restarting", "paused")


@dataclass(frozen=True, slots=True)
class VolumeListed:
    """A volume: its driver, and what its options mount, empty where it has a folder of Docker's own."""

    name: str
    driver: str
    device: str = ""


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull is: bytes done of those known so far, layers, and what is going on."""

    done: int
    total: int
    layers_done: int
    layers: int
    status: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of a container's output: `stdout` or `stderr`, and bytes."""

    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ExecInfo:
    """How a command in a container is."""

    running: bool
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class DockerEvent:
    """Something that happened to a container (`start`, `die`, `oom`, `destroy`); Unix seconds."""

    action: str
    id: str
    name: str
    time: float
    labels: Mapping[str, str]
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class ContainerStats:
    """One reading of a container: bytes of memory, its limit, and CPU in whole cores."""

    memory: int
    memory_limit: int
    cpu: float


def info_from(data: Decoded, api: str) -> DockerInfo:
    """From `/info`. Raises `ShapeError`, as all of these do."""
    data = data.present()
    return DockerInfo(
        version=_line(data.at("ServerVersion")),
        api=api,
        root=_line(data.at("DockerRootDir")),
        driver=_line(data.at("Driver")),
        log_driver=_line(data.at("LoggingDriver")),
        arch=_line(data.at("Architecture")),
        runtimes=tuple(sorted(clean_line(name) for name in data.at("Runtimes").fields())),
        cdi=bool(data.at("CDISpecDirs").items()),
    )


def version_from(data: Decoded) -> dict[str, str]:
    """From `/version`: the fields that are text."""
    return {key: clean_line(value.text()) for key, value in data.fields().items() if isinstance(value.data, str)}


def image_from(data: Decoded) -> ImageInfo:
    """From `/images/{name}/json`."""
    data = data.present()
    config = data.at("Config")
    return ImageInfo(
        id=_line(data.at("Id")),
        tags=_lines(data.at("RepoTags")),
        digests=_lines(data.at("RepoDigests")),
        layers=_lines(data.at("RootFS", "Layers")),
        os=_line(data.at("Os")),
        arch=_line(data.at("Architecture")),
        size=data.at("Size").whole() or 0,
        env=_lines(config.at("Env")),
        labels=_labels(config.at("Labels")),
    )


def container_from_inspect(data: Decoded) -> ContainerInfo:
    """From `/containers/{id}/json`."""
    data = data.present()
    state = data.at("State")
    config = data.at("Config")
    status = _line(state.at("Status").present())
    exit_code = None
    if status in ("exited", "dead"):
        exit_code = _exit_code(state.at("ExitCode"))
    return ContainerInfo(
        id=identity(data.at("Id")),
        name=_line(data.at("Name")).lstrip("/"),
        image=_line(config.at("Image")),
        state=status,
        labels=_labels(config.at("Labels")),
        created=unix_time(data.at("Created").data),
        started=unix_time(state.at("StartedAt").data),
        finished=unix_time(state.at("FinishedAt").data),
        exit_code=exit_code,
        oom_killed=state.at("OOMKilled").is_true(),
        restarts=data.at("RestartCount").whole() or 0,
        error=_line(state.at("Error")),
        tty=config.at("Tty").is_true(),
        log_driver=_line(data.at("HostConfig", "LogConfig", "Type")),
        image_id=_line(data.at("Image")),
        mounts=_mounts(data, ("bind", ""), "Source"),
        volumes=_mounts(data, ("volume",), "Name"),
        mounts_known=_mounts_known(data),
        restart_policy=_line(data.at("HostConfig", "RestartPolicy", "Name")),
        secrets=secrets_given(config.at("Env").texts(), (*data.at("Args").texts(), *config.at("Cmd").texts())),
    )


def containers_from_list(data: Decoded) -> list[ContainerInfo]:
    """From `/containers/json`."""
    return [container_from_list(entry) for entry in data.present().items()]


def container_from_list(data: Decoded) -> ContainerInfo:
    """From one entry of `/containers/json`, which has no start time, and the exit code only in its status text."""
    data = data.present()
    name = ""
    names = data.at("Names").texts()
    if names:
        name = clean_line(names[0]).lstrip("/")
    exit_code = None
    found = _EXITED.match(data.at("Status").text())
    if found is not None:
        exit_code = whole(found[1], least=-_MOST_CODE, most=_MOST_CODE)
    return ContainerInfo(
        id=identity(data.at("Id")),
        name=name,
        image=_line(data.at("Image")),
        state=_line(data.at("State").present()),
        labels=_labels(data.at("Labels")),
        created=data.at("Created").decimal(least=1, most=_LAST_MOMENT),
        exit_code=exit_code,
        image_id=_line(data.at("ImageID")),
        mounts=_mounts(data, ("bind", ""), "Source"),
        volumes=_mounts(data, ("volume",), "Name"),
        mounts_known=_mounts_known(data),
        command=_command(data.at("Command")),
    )


def images_from(data: Decoded) -> list[ImageListed]:
    """From `/images/json`, at most `MOST_IMAGES`."""
    return [_image_listed(entry) for entry in data.present().items(MOST_IMAGES)]


def _image_listed(data: Decoded) -> ImageListed:
    data = data.present()
    nameless = "<none>"
    return ImageListed(
        id=identity(data.at("Id")),
        tags=tuple(name for name in _lines(data.at("RepoTags"), _MOST_NAMES) if nameless not in name),
        digests=tuple(name for name in _lines(data.at("RepoDigests"), _MOST_NAMES) if nameless not in name),
        size=data.at("Size").whole() or 0,
        created=data.at("Created").decimal(least=1, most=_LAST_MOMENT),
    )


def volumes_from(data: Decoded) -> list[VolumeListed]:
    """From `/volumes`."""
    return [_volume(entry.present()) for entry in data.present().at("Volumes").items()]


def _volume(data: Decoded) -> VolumeListed:
    return VolumeListed(_line(data.at("Name")), _line(data.at("Driver")), _line(data.at("Options").at("device")))


def digest_from(data: Decoded) -> str:
    """The digest in an answer of `/distribution/{name}/json`; empty where it names none."""
    return _line(data.present().at("Descriptor", "digest"))


def _command(data: Decoded) -> str:
    """A container's command as one line; some daemons send it as a list."""
    if isinstance(data.data, list):
        return " ".join(_lines(data))
    return _line(data)


def _mounts(data: Decoded, kinds: Sequence[str], field: str) -> tuple[str, ...]:
    """A field of a container's mounts of some kinds. Podman's lists have another form, which says less."""
    mounts = data.at("Mounts")
    if not isinstance(mounts.data, list):
        return ()
    found = []
    for mount in mounts.items(_MOST_MOUNTS):
        if isinstance(mount.data, dict) and _line(mount.at("Type")) in kinds:
            found.append(_line(mount.at(field)))
    return tuple(name for name in found if name)


def _mounts_known(data: Decoded) -> bool:
    """Whether all mounts of a container are said, in Docker's form."""
    mounts = data.at("Mounts").data
    if not isinstance(mounts, list) or len(mounts) > _MOST_MOUNTS:
        return False
    return all(isinstance(mount, dict) for mount in mounts)


def identity(data: Decoded) -> str:
    """An id that the daemon gave out, fit for the path of a request. Raises `ShapeError`."""
    text = data.present().text()
    if not _ID.fullmatch(text):
        raise ShapeError(f"{data.where} is no id")
    return text


def exec_from(data: Decoded) -> ExecInfo:
    """From `/exec/{id}/json`."""
    data = data.present()
    return ExecInfo(data.at("Running").is_true(), _exit_code(data.at("ExitCode")))


def wait_from(data: Decoded) -> int | None:
    """The exit code in the answer of `/containers/{id}/wait`; None when it has none."""
    return _exit_code(data.present().at("StatusCode"))


def event_from(data: Decoded) -> DockerEvent | None:
    """From one line of `/events`; None when it is not about a container."""
    if data.at("Type").data != "container":
        return None
    actor = data.at("Actor")
    attributes = _labels(actor.at("Attributes"))
    nanoseconds = data.at("timeNano").whole(most=int(_LAST_MOMENT) * 10**9)
    return DockerEvent(
        action=_line(data.at("Action")),
        id=_line(actor.at("ID")) or _line(data.at("id")),
        name=attributes.get("name", ""),
        time=nanoseconds / 1e9
        if nanoseconds is not None
        else data.at("time").decimal(least=0, most=_LAST_MOMENT) or 0.0,
        labels=attributes,
        exit_code=whole(attributes.get("exitCode", ""), least=-_MOST_CODE, most=_MOST_CODE),
    )


def stats_from(data: Decoded) -> ContainerStats:
    """From `/containers/{id}/stats`; memory without the page cache, as `docker stats` shows it."""
    data = data.present()
    memory = data.at("memory_stats")
    details = memory.at("stats").fields()
    cache = details.get("inactive_file") or details.get("total_inactive_file") or Decoded(None)
    now, before = data.at("cpu_stats"), data.at("precpu_stats")
    busy = _count(now.at("cpu_usage", "total_usage")) - _count(before.at("cpu_usage", "total_usage"))
    system = _count(now.at("system_cpu_usage")) - _count(before.at("system_cpu_usage"))
    cores = now.at("online_cpus").whole(least=1, most=65_536) or 1
    cpu = 0.0
    if system > 0 and busy > 0:
        cpu = busy / system * cores
    return ContainerStats(
        memory=max(_count(memory.at("usage")) - _count(cache), 0),
        memory_limit=_count(memory.at("limit")),
        cpu=cpu,
    )


def unix_time(text: object) -> float | None:
    """Docker's time stamps (RFC 3339, nanoseconds; year 1 means never) as Unix seconds.

    None for another text, and for moments outside of the years 1970 to 2999.
    """
    if not isinstance(text, str) or not text:
        return None
    if len(text) > 64 or text.startswith("0001-"):
        return None
    head, dot, tail = text.partition(".")
    digits = tail.rstrip("Z")
    for sign in "+-":
        digits = digits.partition(sign)[0]
    zone = ""
    if dot:
        zone = tail[len(digits) :]
    try:
        base = datetime.fromisoformat((head + zone).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError, OSError):
        # The last two are for years that the system's calendar does not hold.
        return None
    moment = base + (decimal(f"0.{digits}") or 0.0)
    if not 0 <= moment < _LAST_MOMENT:
        return None
    return moment


def _exit_code(data: Decoded) -> int | None:
    return data.whole(least=-_MOST_CODE, most=_MOST_CODE)


def _count(data: Decoded) -> int:
    """A counter; 0 when there is none, since old daemons leave some out."""
    return data.whole(most=1 << 64) or 0


def _line(data: Decoded) -> str:
    return clean_line(data.text())


def _lines(data: Decoded, most: int | None = None) -> tuple[str, ...]:
    return tuple(clean_line(text) for text in data.texts(most))


def _labels(data: Decoded) -> dict[str, str]:
    return {clean_line(key): _line(value) for key, value in data.fields(_MOST_LABELS).items()}
