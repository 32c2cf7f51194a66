"""A container as the Engine API is asked to create it, and as the `docker` command a person would paste."""

from __future__ import annotations

import os
from typing import Any

from sparkrun_tui.base import shell
from sparkrun_tui.engines.layout.common import START_FILE, hook_folder
from sparkrun_tui.engines.plan import ContainerExec, ContainerSpec
from sparkrun_tui.recipe.bundled_files.attachments import MOD_SCRIPT, Bundle

LOG_OPTIONS = {"max-size": "50m", "max-file": "5"}
"""A chatty engine must not fill the host's disk; five files of 50 MB keep the last hours."""


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


def run_command(spec: ContainerSpec) -> shell.Text:
    """`docker run` with every flag of `spec`, one a line; secrets are passed on by name from the shell's own."""
    return _command(shell.script("docker run -d"), spec)


def create_command(spec: ContainerSpec) -> shell.Text:
    """The same as `docker create`, for a container that gets files before it is started."""
    return _command(shell.script("docker create"), spec)


def brings_files(spec: ContainerSpec) -> bool:
    """Whether files of the workstation go into the container."""
    return any(hook.bundle is not None for hook in spec.before)


def copy_commands(host: str, spec: ContainerSpec) -> list[shell.Text]:
    """Commands of the workstation that put the files of the hooks into a created container, on `host`."""
    copy = shell.script("docker cp - {target}", target=f"{spec.name}:/")
    into = shell.script("ssh {host} {copy}", host=host, copy=shell.word(copy))
    bundles = ((number, hook.bundle) for number, hook in enumerate(spec.before, 1))
    return [
        _shown(bundle) + shell.script("{pack} | {into}", pack=_packed(bundle, hook_folder(number)), into=into)
        for number, bundle in bundles
        if bundle is not None
    ]


def send_command(host: str, folder: str, bundle: Bundle) -> shell.Text:
    """The command of the workstation that puts files into a folder of a host."""
    unpack = shell.script("mkdir -p -- {folder} && tar -C {folder} -xf -", folder=shell.path_word(folder))
    send = shell.script("{pack} | ssh {host} {unpack}", pack=_packed(bundle), host=host, unpack=shell.word(unpack))
    return _shown(bundle) + send


def _shown(bundle: Bundle) -> shell.Text:
    """The script of a mod as comments, so that a plan shows what it will run."""
    return shell.comment("".join(f"{MOD_SCRIPT}: {line}\n" for line in bundle.script.splitlines()))


def _packed(bundle: Bundle, folder: str = "") -> shell.Text:
    """`tar` of the files as they are here, links followed, put below a folder."""
    place, what = bundle.place, "."
    if bundle.alone:
        (name,) = bundle.names
        # Behind `./` no name is read as an option.
        place, what = os.path.dirname(bundle.place), f"./{name}"
    moved = ["--transform", f"s,^[.],{folder[1:]},"] if folder else []
    return shell.words(["tar", "-C", place, *moved, "-chf", "-", what])


def _command(begin: shell.Text, spec: ContainerSpec) -> shell.Text:
    first, *rest = spec.entrypoint or ("bash",)
    program = [*rest, "bash", "-c"] if spec.entrypoint else ["-c"]
    lines: list[list[str]] = [["--name", spec.name]]
    if spec.gpus:
        lines.append(["--gpus", "all"])
    lines.append(["--network", spec.network, "--ipc", spec.ipc, "--shm-size", str(spec.shm_size)])
    lines += [["-p", f"{port}:{port}"] for port in spec.publish]
    lines += [["--ulimit", f"{name}={_limit_text(value)}"] for name, value in spec.ulimits.items()]
    lines += [["--device", path] for path in spec.devices]
    lines += [["--cap-add", name] for name in spec.cap_add]
    if spec.privileged:
        lines.append(["--privileged"])
    if spec.user:
        lines.append(["--user", spec.user])
    logging = [["--log-opt", f"{name}={value}"] for name, value in LOG_OPTIONS.items()]
    lines.append(["--log-driver", "json-file", *(word for pair in logging for word in pair)])
    lines += [["-e", f"{name}={value}"] for name, value in spec.env.items()]
    lines += [["-e", name] for name in spec.secret_env]
    labels = [["--label", f"{name}={value}"] for name, value in spec.labels.items()]
    mounts = [
        shell.script("-v {source}:{target}", source=shell.path_word(m.source), target=f"{m.target}{m.suffix}")
        for m in spec.mounts
    ]
    last = ["--entrypoint", first, spec.image, *program, whole(spec)]
    parts = [shell.script("{begin} --init", begin=begin)]
    parts += [*map(shell.words, lines), *mounts, *map(shell.words, labels), shell.words(last)]
    return shell.joined(parts, " \\\n  ")


def exec_command(container: str, execution: ContainerExec) -> shell.Text:
    """`docker exec` for a script inside a container, its output in the container's own log where it belongs there."""
    inside = shell.authored(execution.script)
    if execution.to_log:
        inside = shell.script(
            "{{ {script}\n}} >/proc/1/fd/1 2>/proc/1/fd/2", script=shell.authored(execution.script.rstrip())
        )
    return shell.words(["docker", "exec", "-d", container, "bash", "-c", inside])


def mount_folders(spec: ContainerSpec) -> shell.Text:
    """The folders of the host that are mounted to be written to, as words; Docker would make them root's."""
    return shell.path_words(mount.source for mount in spec.mounts if mount.make and not mount.read_only)


def whole(spec: ContainerSpec) -> shell.Text:
    """Everything a container runs, as one script: its hooks, each in a shell of its own, then its script."""
    hooks = [shell.script("bash -c {hook} || exit\n", hook=hook.command) for hook in spec.before]
    return shell.joined([*hooks, shell.authored(spec.script)])


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
