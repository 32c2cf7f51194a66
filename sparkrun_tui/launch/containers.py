"""A container as the Engine API is asked to create it, and as the `docker` command a person would paste."""

from __future__ import annotations

import os
import re
import shlex
from typing import Any

from sparkrun_tui.recipe.brought import MOD_SCRIPT, Bundle
from sparkrun_tui.runtimes.common import START_FILE, hook_folder
from sparkrun_tui.runtimes.plan import ContainerExec, ContainerSpec

LOG_OPTIONS = {"max-size": "50m", "max-file": "5"}
"""A chatty engine must not fill the host's disk; five files of 50 MB keep the last hours."""

_HOME = re.compile(r"~(?=/|$)")


def create_body(spec: ContainerSpec) -> dict[str, Any]:
    """The body of `POST /containers/create` (Docker Engine API) for `spec`; secrets are not in it."""
    host: dict[str, Any] = {
        "NetworkMode": spec.network,
        "IpcMode": spec.ipc,
        "ShmSize": spec.shm_size,
        "Init": True,
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        "Privileged": spec.privileged,
        "CapAdd": list(spec.cap_add),
        "Ulimits": [_limit(name, value) for name, value in spec.ulimits.items()],
        "Devices": [_device(words) for words in spec.devices],
        # Mounts in Binds, not in Mounts: the daemon makes missing folders of Binds, as `docker run -v` does.
        "Binds": [f"{m.source}:{m.target}{m.suffix}" for m in spec.mounts],
        "LogConfig": {"Type": "json-file", "Config": dict(LOG_OPTIONS)},
    }
    if spec.publish:
        host["PortBindings"] = {f"{port}/tcp": [{"HostPort": str(port)}] for port in spec.publish}
    if spec.gpus:
        host["DeviceRequests"] = [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]
    return {
        "Image": spec.image,
        "Entrypoint": list(spec.entrypoint) or ["bash", START_FILE],
        "Cmd": ["bash", START_FILE] if spec.entrypoint else [],
        "ExposedPorts": {f"{port}/tcp": {} for port in spec.publish},
        "User": spec.user,
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": dict(spec.labels),
        "Tty": False,
        "OpenStdin": False,
        "HostConfig": host,
    }


def run_command(spec: ContainerSpec) -> str:
    """`docker run` with every flag of `spec`, one a line; secrets are passed on by name from the shell's own."""
    return _command("docker run -d", spec)


def create_command(spec: ContainerSpec) -> str:
    """The same as `docker create`, for a container that gets files before it is started."""
    return _command("docker create", spec)


def brings_files(spec: ContainerSpec) -> bool:
    """Whether files of the workstation go into the container."""
    return any(hook.bundle is not None for hook in spec.before)


def copy_commands(host: str, spec: ContainerSpec) -> list[str]:
    """Commands of the workstation that put the files of the hooks into a created container, on `host`."""
    into = f"ssh {shlex.quote(host)} docker cp - {shlex.quote(spec.name)}:/"
    bundles = ((number, hook.bundle) for number, hook in enumerate(spec.before, 1))
    return [
        f"{_shown(bundle)}{_packed(bundle, hook_folder(number))} | {into}"
        for number, bundle in bundles
        if bundle is not None
    ]


def send_command(host: str, folder: str, bundle: Bundle) -> str:
    """The command of the workstation that puts files into a folder of a host."""
    there = f"mkdir -p {shell_path(folder)} && tar -C {shell_path(folder)} -xf -"
    return f"{_shown(bundle)}{_packed(bundle)} | ssh {shlex.quote(host)} {shlex.quote(there)}"


def _shown(bundle: Bundle) -> str:
    """The script of a mod as comments, so that a plan shows what it will run."""
    return "".join(f"# {MOD_SCRIPT}: {line}\n" for line in bundle.script.splitlines())


def _packed(bundle: Bundle, folder: str = "") -> str:
    """`tar` of the files as they are here, links followed, put below a folder."""
    if bundle.alone:
        place, (what,), moved = os.path.dirname(bundle.place), bundle.names, f"s,^,{folder[1:]}/,"
    else:
        place, what, moved = bundle.place, ".", f"s,^[.],{folder[1:]},"
    words = ["tar", "-C", place, *(("--transform", moved) if folder else ()), "-chf", "-", what]
    return shlex.join(words)


def _command(begin: str, spec: ContainerSpec) -> str:
    parts = [f"{begin} --init", f"--name {shlex.quote(spec.name)}"]
    if spec.gpus:
        parts.append("--gpus all")
    parts.append(f"--network {spec.network} --ipc {spec.ipc} --shm-size {spec.shm_size}")
    parts += [f"-p {port}:{port}" for port in spec.publish]
    parts += [f"--ulimit {name}={_limit_text(value)}" for name, value in spec.ulimits.items()]
    parts += [f"--device {shlex.quote(path)}" for path in spec.devices]
    parts += [f"--cap-add {shlex.quote(name)}" for name in spec.cap_add]
    if spec.privileged:
        parts.append("--privileged")
    if spec.user:
        parts.append(f"--user {shlex.quote(spec.user)}")
    parts.append("--log-driver json-file " + " ".join(f"--log-opt {k}={v}" for k, v in LOG_OPTIONS.items()))
    parts += [f"-e {shlex.quote(f'{name}={value}')}" for name, value in spec.env.items()]
    parts += [f"-e {shlex.quote(name)}" for name in spec.secret_env]
    parts += [f"-v {shell_path(m.source)}:{shlex.quote(m.target)}{m.suffix}" for m in spec.mounts]
    parts += [f"--label {shlex.quote(f'{name}={value}')}" for name, value in spec.labels.items()]
    first, *rest = spec.entrypoint or ("bash",)
    words = [*rest, "bash", "-c"] if spec.entrypoint else ["-c"]
    parts.append(f"--entrypoint {shlex.quote(first)} {shlex.quote(spec.image)} {shlex.join([*words, whole(spec)])}")
    return " \\\n  ".join(parts)


def exec_command(container: str, execution: ContainerExec) -> str:
    """`docker exec` for a script inside a container, its output in the container's own log where it belongs there."""
    script = (
        f"{{ {execution.script.rstrip()}\n}} >/proc/1/fd/1 2>/proc/1/fd/2" if execution.to_log else execution.script
    )
    return f"docker exec -d {shlex.quote(container)} bash -c {shlex.quote(script)}"


def mount_folders(spec: ContainerSpec) -> str:
    """The folders of the host that are mounted to be written to, quoted for a shell; Docker would make them root's."""
    return " ".join(shell_path(mount.source) for mount in spec.mounts if mount.make and not mount.read_only)


def whole(spec: ContainerSpec) -> str:
    """Everything a container runs, as one script: its hooks, each in a shell of its own, then its script."""
    return "".join(f"bash -c {shlex.quote(hook.command)} || exit\n" for hook in spec.before) + spec.script


def _limit(name: str, value: int | tuple[int, int]) -> dict[str, Any]:
    soft, hard = value if isinstance(value, tuple) else (value, value)
    return {"Name": name, "Soft": soft, "Hard": hard}


def _limit_text(value: int | tuple[int, int]) -> str:
    return f"{value[0]}:{value[1]}" if isinstance(value, tuple) else str(value)


def _device(words: str) -> dict[str, str]:
    """A device as `--device` takes it: the path, the path inside, what may be done with it."""
    path, _, rest = words.partition(":")
    inside, _, may = rest.partition(":")
    if inside and not inside.startswith("/"):
        inside, may = "", inside
    return {"PathOnHost": path, "PathInContainer": inside or path, "CgroupPermissions": may or "rwm"}


def shell_path(path: str) -> str:
    """A path quoted for a shell, with a leading `~` left for that host's shell to expand."""
    if _HOME.match(path):
        rest = path[1:]
        return '"$HOME"' + (shlex.quote(rest) if rest else "")
    return shlex.quote(path)
