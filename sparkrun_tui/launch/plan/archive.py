"""The files that a container gets before it starts, as a tar archive for the Engine API."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

from sparkrun_tui.base import shell
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.engines.layout.common import (
    EXEC_FOLDERS,
    RUN_DIR,
    SECRET_FILE,
    SERVE_FILE,
    START_FILE,
    hook_failed,
    hook_file,
    hook_folder,
    hook_text,
    secret_file,
    start_script,
)
from sparkrun_tui.engines.plan import ContainerExec, ContainerSpec

Files = dict[str, tuple[str | bytes, int]]
"""Content and mode by path in the container; a path that ends in `/` is a folder."""

_EXEC = """\
# Runs once, also when it is asked for again after a lost reply.
mkdir {folder} 2>/dev/null || exit 0
{redirect}bash {start}
code=$?
echo "$code" >{folder}/code
echo {ended}"$code"
exit "$code"
"""


def container_files(spec: ContainerSpec, sent: Mapping[str, bytes]) -> bytes:
    """The archive for the container of `spec`: start script, hooks, its own script byte for byte, and its secrets.

    `sent` holds the content of the hooks' files, by digest.
    """
    files: Files = {START_FILE: (start_script(before=spec.before), 0o755), SERVE_FILE: (spec.script, 0o755)}
    for number, hook in enumerate(spec.before, 1):
        files[hook_file(number)] = (hook_text(hook), 0o755)
        if hook.bundle is not None:
            files[f"{hook_folder(number)}/"] = (b"", 0o755)
            for name, file in hook.bundle.names.items():
                files[f"{hook_folder(number)}/{name}"] = (sent[file.digest], 0o755 if file.program else 0o644)
    if spec.secret_env:
        files[SECRET_FILE] = (secret_file(spec.secret_env), 0o600)
    return _tar(files, spec.user)


def exec_files(number: int | str, execution: ContainerExec, spec: ContainerSpec) -> bytes:
    """The archive for an exec in the container of `spec`; `number` is that of the exec within its launch."""
    folder, start, serve, secrets = exec_paths(number)
    redirect = shell.script("exec >/proc/1/fd/1 2>/proc/1/fd/2\n" if execution.to_log else "")
    ended = hook_failed(execution.title)
    text = shell.script(_EXEC, folder=folder, start=start, ended=ended, redirect=redirect)
    script = execution.script if execution.script.endswith("\n") else execution.script + "\n"
    files: Files = {
        f"{folder}.sh": (text, 0o755),
        start: (start_script(serve, secrets), 0o755),
        serve: (script, 0o755),
    }
    if spec.secret_env:
        files[secrets] = (secret_file(spec.secret_env), 0o600)
    return _tar(files, spec.user)


def exec_paths(number: int | str) -> tuple[str, str, str, str]:
    """The paths of an exec: the folder that marks it as begun, its start script, its own script, and its secrets."""
    base = f"{EXEC_FOLDERS}{number}"
    return base, f"{base}.start.sh", f"{base}.serve.sh", f"{base}.env"


def _tar(files: Files, user: str) -> bytes:
    """A tar archive of the files, owned by the container's user where that is a number, else by root.

    Only the image knows which number a user name stands for. Files are then readable by everybody in the container,
    and `RUN_DIR` is writable, so that the user can remove its secrets.
    """
    name = user.partition(":")[0]
    number = whole(name, most=(1 << 32) - 1)
    owner = number or 0
    named = name not in ("", "root") and number is None
    folders: set[str] = set()
    for path in files:
        folders.update(_parents(path))

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(folders):
            info = tarfile.TarInfo(path.lstrip("/"))
            info.type = tarfile.DIRTYPE
            info.mode = 0o755
            if named and path == RUN_DIR:
                info.mode = 0o777
            info.uid = info.gid = owner
            tar.addfile(info)
        for path, (content, mode) in files.items():
            if path.endswith("/"):
                continue
            data = content
            if isinstance(data, str):
                data = data.encode("utf-8", errors="surrogateescape")
            info = tarfile.TarInfo(path.lstrip("/"))
            info.size = len(data)
            info.mode = mode
            if named:
                info.mode |= 0o044
            info.uid = info.gid = owner
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _parents(path: str) -> list[str]:
    """The folders above a path from `RUN_DIR` on, which Docker would create without access for other users."""
    parts = path[len(RUN_DIR) + 1 :].split("/")[:-1]
    return ["/".join([RUN_DIR, *parts[:depth]]) for depth in range(len(parts) + 1)]
