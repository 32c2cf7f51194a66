"""What the Docker Engine API answers, as values; foreign text in them has passed the gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.text import clean_line

Json = Mapping[str, Any]


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
    raw: Json = field(default_factory=dict, compare=False, repr=False)


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
        """Whether both are the same image, whatever store holds them."""
        mine = {digest.rpartition("@")[2] for digest in self.digests}
        if mine & {digest.rpartition("@")[2] for digest in other.digests}:
            return True
        return bool(self.layers) and (self.layers, self.os, self.arch) == (other.layers, other.os, other.arch)


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
    error: str = ""
    tty: bool = False
    log_driver: str = ""

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.state in ("running", "restarting", "paused")


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


def info_from(data: Json, api: str) -> DockerInfo:
    """From `/info`."""
    return DockerInfo(
        version=str(data.get("ServerVersion") or ""),
        api=api,
        root=str(data.get("DockerRootDir") or ""),
        driver=str(data.get("Driver") or ""),
        log_driver=str(data.get("LoggingDriver") or ""),
        arch=str(data.get("Architecture") or ""),
        runtimes=tuple(sorted(data.get("Runtimes") or {})),
        cdi=bool(data.get("CDISpecDirs")),
        raw=data,
    )


def image_from(data: Json) -> ImageInfo:
    """From `/images/{name}/json`."""
    config = data.get("Config") or {}
    return ImageInfo(
        id=str(data.get("Id") or ""),
        tags=tuple(data.get("RepoTags") or ()),
        digests=tuple(data.get("RepoDigests") or ()),
        layers=tuple((data.get("RootFS") or {}).get("Layers") or ()),
        os=str(data.get("Os") or ""),
        arch=str(data.get("Architecture") or ""),
        size=int(data.get("Size") or 0),
        env=tuple(str(item) for item in config.get("Env") or ()),
        labels={str(key): clean_line(str(value)) for key, value in (config.get("Labels") or {}).items()},
    )


def container_from_inspect(data: Json) -> ContainerInfo:
    """From `/containers/{id}/json`."""
    state = data.get("State") or {}
    config = data.get("Config") or {}
    ended = state.get("Status") in ("exited", "dead")
    return ContainerInfo(
        id=str(data.get("Id") or ""),
        name=clean_line(str(data.get("Name") or "").lstrip("/")),
        image=clean_line(str(config.get("Image") or "")),
        state=str(state.get("Status") or ""),
        labels=_labels(config.get("Labels")),
        created=unix_time(data.get("Created")),
        started=unix_time(state.get("StartedAt")),
        finished=unix_time(state.get("FinishedAt")),
        exit_code=int(state.get("ExitCode") or 0) if ended else None,
        oom_killed=bool(state.get("OOMKilled")),
        error=clean_line(str(state.get("Error") or "")),
        tty=bool(config.get("Tty")),
        log_driver=str(((data.get("HostConfig") or {}).get("LogConfig") or {}).get("Type") or ""),
    )


def container_from_list(data: Json) -> ContainerInfo:
    """From one entry of `/containers/json`, which tells neither exit code (but in words) nor start."""
    names = data.get("Names") or [""]
    status = str(data.get("Status") or "")
    code = status.partition("Exited (")[2].partition(")")[0]
    return ContainerInfo(
        id=str(data.get("Id") or ""),
        name=clean_line(str(names[0]).lstrip("/")),
        image=clean_line(str(data.get("Image") or "")),
        state=str(data.get("State") or ""),
        labels=_labels(data.get("Labels")),
        created=float(data.get("Created") or 0) or None,
        exit_code=int(code) if code.lstrip("-").isdigit() else None,
    )


def event_from(data: Json) -> DockerEvent | None:
    """From one line of `/events`; None when it is not about a container."""
    if data.get("Type") != "container":
        return None
    actor = data.get("Actor") or {}
    attributes = {str(key): clean_line(str(value)) for key, value in (actor.get("Attributes") or {}).items()}
    code = attributes.get("exitCode", "")
    nanoseconds = data.get("timeNano")
    return DockerEvent(
        action=clean_line(str(data.get("Action") or "")),
        id=str(actor.get("ID") or data.get("id") or ""),
        name=attributes.get("name", ""),
        time=nanoseconds / 1e9 if isinstance(nanoseconds, int) else float(data.get("time") or 0),
        labels=attributes,
        exit_code=int(code) if code.lstrip("-").isdigit() else None,
    )


def stats_from(data: Json) -> ContainerStats:
    """From `/containers/{id}/stats`; memory without the page cache, as `docker stats` shows it."""
    memory = data.get("memory_stats") or {}
    details = memory.get("stats") or {}
    cache = details.get("inactive_file", details.get("total_inactive_file", 0))
    usage = int(memory.get("usage") or 0)
    now, before = data.get("cpu_stats") or {}, data.get("precpu_stats") or {}
    busy = _usage(now) - _usage(before)
    system = int(now.get("system_cpu_usage") or 0) - int(before.get("system_cpu_usage") or 0)
    cores = int(now.get("online_cpus") or 1)
    return ContainerStats(
        memory=max(usage - int(cache), 0),
        memory_limit=int(memory.get("limit") or 0),
        cpu=busy / system * cores if system > 0 and busy > 0 else 0.0,
    )


def unix_time(text: object) -> float | None:
    """Docker's time stamps (RFC 3339, nanoseconds; year 1 means never) as Unix seconds."""
    if not isinstance(text, str) or not text or text.startswith("0001-"):
        return None
    head, dot, tail = text.partition(".")
    digits = tail.rstrip("Z")
    for sign in "+-":
        digits = digits.partition(sign)[0]
    zone = tail[len(digits) :] if dot else ""
    try:
        base = datetime.fromisoformat((head + zone).replace("Z", "+00:00"))
    except ValueError:
        return None
    return base.timestamp() + (float(f"0.{digits}") if digits.isdigit() else 0.0)


def _labels(labels: object) -> Mapping[str, str]:
    if not isinstance(labels, Mapping):
        return {}
    return {clean_line(str(key)): clean_line(str(value)) for key, value in labels.items()}


def _usage(stats: Json) -> int:
    return int((stats.get("cpu_usage") or {}).get("total_usage") or 0)
