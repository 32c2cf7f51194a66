"""A container as a request of the Engine API, and as a `docker` command to paste."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from sparkrun_tui.base import shell
from sparkrun_tui.base.reading.numbers import whole as whole_number
from sparkrun_tui.engines.layout.common import START_FILE, hook_folder, hook_text, timed
from sparkrun_tui.engines.plan import ContainerExec, ContainerSpec
from sparkrun_tui.recipe.bundled_files.attachments import MOD_SCRIPT, Bundle

LOG_OPTIONS = {"max-size": "50m", "max-file": "5"}
"""Limits on a container's log, so that an engine cannot fill the host's disk: five files of 50 MB, some hours."""


def create_body(spec: ContainerSpec) -> dict[str, Any]:
    """The body of `POST /containers/create` (Docker Engine API) for `spec`; secrets are not in it."""
    host: dict[str, Any] = {
        "NetworkMode": spec.network,
        "IpcMode": spec.ipc,
        "ShmSize": spec.shm_size,
        "Init": True,
        "AutoRemove": False,
        "RestartPolicy": _restarts(spec.restart),
        "Privileged": spec.privileged,
        "CapAdd": list(spec.cap_add),
        "Ulimits": [_limit(name, value) for name, value in spec.ulimits.items()],
        "Devices": [_device(words) for words in spec.devices],
        # Binds rather than Mounts: the daemon creates missing folders of Binds, as `docker run -v` does.
        "Binds": [f"{m.source}:{m.target}{m.suffix}" for m in spec.mounts],
        "LogConfig": {"Type": "json-file", "Config": dict(LOG_OPTIONS)},
    }
    if spec.gpus:
        host["DeviceRequests"] = [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]
    if spec.memory:
        host["Memory"] = spec.memory
    if spec.security_opt:
        host["SecurityOpt"] = list(spec.security_opt)
    exposed: dict[str, Any] = {}
    bindings: dict[str, Any] = {}
    for port in spec.publish:
        exposed[f"{port}/tcp"] = {}
        bindings[f"{port}/tcp"] = [{"HostPort": str(port)}]
    if bindings:
        host["PortBindings"] = bindings
    entrypoint: list[str] = ["bash", START_FILE]
    command: list[str] = []
    if spec.entrypoint:
        entrypoint, command = list(spec.entrypoint), ["bash", START_FILE]
    return {
        "Image": spec.image,
        "Entrypoint": entrypoint,
        "Cmd": command,
        "ExposedPorts": exposed,
        "User": spec.user,
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": dict(spec.labels),
        "Tty": False,
        "OpenStdin": False,
        "HostConfig": host,
    }


def run_command(spec: ContainerSpec) -> shell.Text:
    """`docker run` with every flag of `spec`, one a line; secrets are passed by name from the shell's variables."""
    return _command(shell.script("docker run -d"), spec)


def foreground_words(spec: ContainerSpec, name: str, script: str) -> list[str]:
    """The words of a `docker run` that stays in the foreground and removes its container at the end.

    Nothing is quoted, sources of mounts may begin with `~/`, labels are left out, and secrets are named only.
    """
    words = ["/usr/bin/docker", "run", "--rm", "--init"]
    for group in _options(replace(spec, restart=""), name):
        words += group
    for mount in spec.mounts:
        words += ["-v", f"{mount.source}:{mount.target}{mount.suffix}"]
    first, *rest = [*spec.entrypoint, "bash"]
    return [*words, "--entrypoint", first, spec.image, *rest, "-c", script]


def create_command(spec: ContainerSpec) -> shell.Text:
    """The same as `docker create`, for a container that gets files before it is started."""
    return _command(shell.script("docker create"), spec)


def brings_files(spec: ContainerSpec) -> bool:
    """Whether files of the workstation are copied into the container."""
    return any(hook.bundle is not None for hook in spec.before)


def copy_commands(host: str, spec: ContainerSpec) -> list[shell.Text]:
    """Commands of the workstation that put the files of the hooks into a created container, on `host`."""
    copy = shell.script("docker cp - {target}", target=f"{spec.name}:/")
    into = shell.script("ssh {host} {copy}", host=host, copy=shell.word(copy))
    commands = []
    for number, hook in enumerate(spec.before, 1):
        if hook.bundle is not None:
            pack = _packed(hook.bundle, hook_folder(number))
            commands.append(_shown(hook.bundle) + shell.script("{pack} | {into}", pack=pack, into=into))
    return commands


def send_command(host: str, folder: str, bundle: Bundle) -> shell.Text:
    """The command of the workstation that puts files into a folder of a host."""
    unpack = shell.script("mkdir -p -- {folder} && tar -C {folder} -xf -", folder=shell.path_word(folder))
    send = shell.script("{pack} | ssh {host} {unpack}", pack=_packed(bundle), host=host, unpack=shell.word(unpack))
    return _shown(bundle) + send


def _shown(bundle: Bundle) -> shell.Text:
    """The script of a mod as shell comments, so that a plan shows what will run."""
    return shell.comment("".join(f"{MOD_SCRIPT}: {line}\n" for line in bundle.script.splitlines()))


def _packed(bundle: Bundle, folder: str = "") -> shell.Text:
    """`tar` of the files on this machine, links followed, with `folder` put before their names."""
    place, what = bundle.place, "."
    if bundle.alone:
        (name,) = bundle.names
        # With `./` before it, no name is read as an option.
        place, what = os.path.dirname(bundle.place), f"./{name}"
    moved = ["--transform", f"s,^[.],{folder[1:]},"] if folder else []
    return shell.words(["tar", "-C", place, *moved, "-chf", "-", what])


def _options(spec: ContainerSpec, name: str) -> list[list[str]]:
    """The options of `docker run` but for mounts and labels; the words of each list belong together."""
    found = [["--name", name]]

    def add(*words: str) -> None:
        found.append(list(words))

    if spec.gpus:
        add("--gpus", "all")
    add("--network", spec.network, "--ipc", spec.ipc, "--shm-size", str(spec.shm_size))
    for port in spec.publish:
        add("-p", f"{port}:{port}")
    for limit, value in spec.ulimits.items():
        add("--ulimit", f"{limit}={_limit_text(value)}")
    for path in spec.devices:
        add("--device", path)
    for capability in spec.cap_add:
        add("--cap-add", capability)
    if spec.privileged:
        add("--privileged")
    if spec.user:
        add("--user", spec.user)
    if spec.memory:
        add("--memory", str(spec.memory))
    for option in spec.security_opt:
        add("--security-opt", option)
    if spec.restart:
        add("--restart", spec.restart)
    logging = ["--log-driver", "json-file"]
    for key, text in LOG_OPTIONS.items():
        logging += ["--log-opt", f"{key}={text}"]
    add(*logging)
    for variable, text in spec.env.items():
        add("-e", f"{variable}={text}")
    for variable in spec.secret_env:
        add("-e", variable)
    return found


def _command(begin: shell.Text, spec: ContainerSpec) -> shell.Text:
    parts = [shell.script("{begin} --init", begin=begin)]
    parts += [shell.words(words) for words in _options(spec, spec.name)]

    def add(*words: str) -> None:
        parts.append(shell.words(words))

    for mount in spec.mounts:
        source = shell.path_word(mount.source)
        parts.append(shell.script("-v {source}:{target}", source=source, target=f"{mount.target}{mount.suffix}"))
    for name, value in spec.labels.items():
        add("--label", f"{name}={value}")
    if spec.entrypoint:
        first, *rest = spec.entrypoint
        add("--entrypoint", first, spec.image, *rest, "bash", "-c", whole(spec))
    else:
        add("--entrypoint", "bash", spec.image, "-c", whole(spec))
    return shell.joined(parts, " \\\n  ")


def exec_command(container: str, execution: ContainerExec) -> shell.Text:
    """`docker exec` for a script inside a container; with `to_log`, its output goes to the container's log."""
    inside = shell.authored(execution.script)
    if execution.to_log:
        inside = shell.script(
            "{{ {script}\n}} >/proc/1/fd/1 2>/proc/1/fd/2", script=shell.authored(execution.script.rstrip())
        )
    return shell.words(["docker", "exec", "-d", container, "bash", "-c", inside])


def mount_folders(spec: ContainerSpec) -> shell.Text:
    """The folders of the host that are mounted writable, as words; Docker would create them owned by root."""
    return shell.path_words(mount.source for mount in spec.mounts if mount.make and not mount.read_only)


def whole(spec: ContainerSpec) -> shell.Text:
    """Everything a container runs, as one script: its hooks, each in a shell of its own, then its script."""
    hooks = []
    for hook in spec.before:
        what = timed(hook, shell.script("bash -c {hook}", hook=shell.word(hook_text(hook))))
        hooks.append(shell.script("{what} || exit\n", what=what))
    return shell.joined([*hooks, shell.authored(spec.script)])


def _restarts(policy: str) -> dict[str, Any]:
    name, _, tries = policy.partition(":")
    if not name:
        return {"Name": "no"}
    restarts: dict[str, Any] = {"Name": name}
    if tries:
        restarts["MaximumRetryCount"] = whole_number(tries) or 0
    return restarts


def _limit(name: str, value: int | tuple[int, int]) -> dict[str, Any]:
    soft, hard = value if isinstance(value, tuple) else (value, value)
    return {"Name": name, "Soft": soft, "Hard": hard}


def _limit_text(value: int | tuple[int, int]) -> str:
    return f"{value[0]}:{value[1]}" if isinstance(value, tuple) else str(value)


def _device(words: str) -> dict[str, str]:
    """A device as `--device` takes it: the path, the path inside, and the permissions."""
    path, _, rest = words.partition(":")
    inside, _, may = rest.partition(":")
    if inside and not inside.startswith("/"):
        inside, may = "", inside
    return {"PathOnHost": path, "PathInContainer": inside or path, "CgroupPermissions": may or "rwm"}
