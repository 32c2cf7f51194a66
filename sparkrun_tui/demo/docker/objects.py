"""A simulated host's containers and images as JSON objects of the Docker Engine API."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from sparkrun_tui.demo.container import Container
from sparkrun_tui.demo.host import IMAGE_SIZE, Happening, Host
from sparkrun_tui.demo.probe import DOCKER_ROOT, DOCKER_VERSION

API_VERSION = "1.47"
_NEVER = "0001-01-01T00:00:00Z"


def stamp(seconds: float | None) -> str:
    """Unix seconds as RFC 3339 with nanoseconds; None is Docker's time for "never"."""
    return _NEVER if seconds is None else stamp_ns(int(seconds * 1e9))


def stamp_ns(nanoseconds: int) -> str:
    """Unix nanoseconds as RFC 3339."""
    whole = datetime.fromtimestamp(nanoseconds // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{nanoseconds % 10**9:09d}Z"


def version() -> dict[str, Any]:
    """`/version`."""
    return {
        "Version": DOCKER_VERSION,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": "1.24",
        "Os": "linux",
        "Arch": "arm64",
    }


def info(host: Host) -> dict[str, Any]:
    """`/info`."""
    return {
        "Name": host.name,
        "ServerVersion": DOCKER_VERSION,
        "DockerRootDir": DOCKER_ROOT,
        "Driver": "overlay2",
        "LoggingDriver": "json-file",
        "Architecture": "aarch64",
        "OSType": "linux",
        "NCPU": 20,
        "MemTotal": host.memory_total,
        "Runtimes": {"runc": {"path": "runc"}, "nvidia": {"path": "nvidia-container-runtime"}},
        "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"],
        "Containers": len(host.containers),
        "Images": len(host.images),
    }


def image(reference: str) -> dict[str, Any]:
    """`/images/{name}/json`."""
    digest = hashlib.sha256(reference.encode()).hexdigest()
    return {
        "Id": f"sha256:{digest}",
        "RepoTags": [] if "@" in reference else [reference],
        "RepoDigests": [f"{reference.partition('@')[0].rpartition(':')[0] or reference}@sha256:{digest}"],
        "Os": "linux",
        "Architecture": "arm64",
        "Size": int(2.3 * IMAGE_SIZE),
        "RootFS": {"Type": "layers", "Layers": [f"sha256:{digest[::-1]}"]},
        "Config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Labels": {}},
    }


def image_listed(reference: str, now: float) -> dict[str, Any]:
    """One entry of `/images/json`."""
    whole = image(reference)
    return {key: whole[key] for key in ("Id", "RepoTags", "RepoDigests", "Size")} | {"Created": int(now - 2_600_000)}


def inspected(container: Container) -> dict[str, Any]:
    """`/containers/{id}/json`."""
    body = container.body
    return {
        "Id": container.id,
        "Name": f"/{container.name}",
        "Created": stamp(container.created),
        "Image": image(container.image)["Id"],
        "State": {
            "Status": container.state,
            "Running": container.running,
            "Pid": 4242 if container.running else 0,
            "ExitCode": container.code,
            "OOMKilled": container.oom_killed,
            "Error": "",
            "StartedAt": stamp(container.started),
            "FinishedAt": stamp(container.finished),
        },
        "Config": {key: body.get(key) for key in ("Image", "Labels", "Env", "Entrypoint", "Cmd", "Tty", "User")},
        "HostConfig": body.get("HostConfig") or {},
        "RestartCount": 0,
    }


def listed(container: Container, now: float) -> dict[str, Any]:
    """One entry of `/containers/json`."""
    if container.running:
        status = f"Up {int(now - (container.started or now))} seconds"
    elif container.state == "exited":
        status = f"Exited ({container.code}) {int(now - (container.finished or now))} seconds ago"
    else:
        status = "Created"
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.image,
        "ImageID": image(container.image)["Id"],
        "Mounts": [
            {"Type": "bind", "Source": bind.partition(":")[0]}
            for bind in (container.body.get("HostConfig") or {}).get("Binds") or ()
        ],
        "Created": int(container.created),
        "State": container.state,
        "Status": status,
        "Labels": dict(container.labels),
        "HostConfig": {"NetworkMode": "host"},
    }


def event(happening: Happening) -> dict[str, Any]:
    """One line of `/events`."""
    container = happening.container
    attributes = {**container.labels, **happening.attributes, "name": container.name, "image": container.image}
    return {
        "Type": "container",
        "Action": happening.action,
        "Actor": {"ID": container.id, "Attributes": attributes},
        "time": int(happening.time),
        "timeNano": int(happening.time * 1e9),
    }


def stats(host: Host, container: Container) -> dict[str, Any]:
    """`/containers/{id}/stats`."""
    system = int(host.clock.now() * 1e9) * 20
    busy = system // 40
    return {
        "memory_stats": {"usage": container.memory, "limit": host.memory_total, "stats": {"inactive_file": 0}},
        "cpu_stats": {"cpu_usage": {"total_usage": busy}, "system_cpu_usage": system, "online_cpus": 20},
        "precpu_stats": {"cpu_usage": {"total_usage": busy - 10**9}, "system_cpu_usage": system - 20 * 10**9},
    }
