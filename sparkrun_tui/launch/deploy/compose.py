"""A service as a file of Docker Compose, for one host (compose-spec, as Docker Compose 2 reads it)."""

from __future__ import annotations

from typing import Any

from sparkrun_tui.base import shell
from sparkrun_tui.engines.plan import ContainerSpec, Mount
from sparkrun_tui.launch.deploy.service import START_SECONDS, Service, comments, fetch_hints
from sparkrun_tui.launch.deploy.yaml_text import document
from sparkrun_tui.launch.plan.containers import LOG_OPTIONS


def compose_file(service: Service) -> str:
    """The text of `compose.yaml` for a service on one host."""
    body = {"services": {service.name: _container(service.head, service)}}
    return comments(_head(service)) + document(_escaped(body))


class _Reference(str):
    """A text in which Compose replaces variables."""

    __slots__ = ()


def _escaped(data: Any) -> Any:
    """Values in which Compose replaces nothing but in a `_Reference`: it reads `$` in every value, and `$$` as one."""
    if isinstance(data, dict):
        return {key: _escaped(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_escaped(item) for item in data]
    if isinstance(data, _Reference):
        return str(data)
    if isinstance(data, str):
        return _literal(data)
    return data


def _head(service: Service) -> list[str]:
    lines = [f"{service.recipe} ({service.engine}), written by `sparkrun-tui recipe export --as compose`."]
    lines.append("Start: docker compose up -d    Logs: docker compose logs -f    Stop: docker compose down")
    lines += fetch_hints(service)
    for name in service.secrets:
        lines.append(f"Set {name} in the environment or in a file `.env` (mode 0600) beside this one.")
    return [*lines, *service.notes]


def _container(spec: ContainerSpec, service: Service) -> dict[str, Any]:
    environment = dict(spec.env)
    for name in spec.secret_env:
        environment[name] = _Reference(f"${{{name}:?set {name}}}")
    body: dict[str, Any] = {
        "image": spec.image,
        "container_name": service.name,
        "init": True,
        "entrypoint": [*spec.entrypoint, "bash", "-c"],
        "command": [str(service.scripts[0])],
        "environment": environment,
        "volumes": [_volume(mount) for mount in spec.mounts],
        "shm_size": spec.shm_size,
        "ulimits": {name: _limit(value) for name, value in spec.ulimits.items()},
        "restart": spec.restart or "unless-stopped",
        "stop_grace_period": f"{service.grace}s",
        "logging": {"driver": "json-file", "options": dict(LOG_OPTIONS)},
        "healthcheck": _health(service),
    }
    if spec.publish:
        body["ports"] = [f"{port}:{port}" for port in spec.publish]
    else:
        body["network_mode"] = spec.network
    if spec.ipc:
        body["ipc"] = spec.ipc
    if spec.gpus:
        device = {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
        body["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    if spec.memory:
        body["mem_limit"] = spec.memory
    for key, values in (("devices", spec.devices), ("cap_add", spec.cap_add), ("security_opt", spec.security_opt)):
        if values:
            body[key] = list(values)
    if spec.privileged:
        body["privileged"] = True
    if spec.user:
        body["user"] = spec.user
    return body


def _literal(text: str) -> str:
    """A text in which Compose replaces no variable."""
    return text.replace("$", "$$")


def _volume(mount: Mount) -> str:
    """A mount in the short form, in which every version of Compose makes a folder that is missing."""
    source = mount.source
    rest = f"{mount.target}{mount.suffix}"
    if source == "~" or source.startswith("~/"):
        return _Reference(f"${{HOME}}{_literal(source[1:])}:{_literal(rest)}")
    return f"{source}:{rest}"


def _limit(value: int | tuple[int, int]) -> Any:
    return {"soft": value[0], "hard": value[1]} if isinstance(value, tuple) else value


def _health(service: Service) -> dict[str, Any]:
    """Asked by bash, which every image that is launched has: few have curl."""
    ask = shell.script(
        "exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET %s HTTP/1.0\\r\\n\\r\\n' {path} >&3"
        " && head -n 1 <&3 | grep -q ' 200'",
        port=service.port,
        path=service.health_path,
    )
    return {
        "test": ["CMD", "bash", "-c", str(ask)],
        "interval": "15s",
        "timeout": "10s",
        "retries": 4,
        "start_period": f"{START_SECONDS}s",
    }
