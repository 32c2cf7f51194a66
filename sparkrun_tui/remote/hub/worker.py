"""The child process that talks to the Hugging Face Hub: a request on stdin, JSON lines on stdout, the token in its env.

huggingface_hub's downloads run in threads that cannot be cancelled; a process can. Run as
`python -m sparkrun_tui.remote.hub.worker`.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sparkrun_tui.base.disk.files import Busy, hold, overwrite
from sparkrun_tui.base.disk.memory_limit import limit_memory, resident
from sparkrun_tui.base.reading.json_text import parse_json
from sparkrun_tui.models.snapshot import folder_name
from sparkrun_tui.remote.hub.confinement import confine_writes

_REPORT_EVERY = 0.25
_STALE_AFTER = 60.0
_AT_ONCE = 8
"""Files that are downloaded at the same time."""
_MOST_MEMORY = 1 << 30
"""Bytes for a list of files; that of a repository with 100,000 files takes a fifth."""


def main() -> int:
    """Carry out one request; the last line is a result or an error."""
    request = parse_json(sys.stdin.buffer.read())
    # huggingface_hub's threads do not end by an exception in the main one: the process ends instead.
    signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(130))
    try:
        if request["op"] == "list":
            limit_memory(_MOST_MEMORY)
            _tell(_list(request))
        else:
            _tell(_fetch(request))
    except BaseException as error:
        _tell({"kind": "error", **describe(error)})
        return 1
    return 0


def _list(request: dict[str, Any]) -> dict[str, Any]:
    """The commit and files of a repository; asks for access too, so that a gate is met before any download."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=request.get("endpoint") or None)
    info = api.model_info(request["repo"], revision=request.get("revision") or None, files_metadata=True)
    if info.gated:
        api.auth_check(request["repo"])
    files = [{"name": item.rfilename, "size": item.size or 0} for item in info.siblings or []]
    return {"kind": "listing", "commit": info.sha, "files": files}


def _fetch(request: dict[str, Any]) -> dict[str, Any]:
    """Download the named files, reporting what has arrived on disk."""
    from huggingface_hub import hf_hub_download

    hub = Path(request["hub"])
    folder = hub / folder_name(request["repo"])
    (folder / "blobs").mkdir(parents=True, exist_ok=True)
    confine_writes(hub, folder.name)

    def download(item: tuple[str, int]) -> None:
        name, size = item
        remove_cut(folder, request["commit"], name, size)
        hf_hub_download(
            request["repo"],
            name,
            revision=request["commit"],
            cache_dir=hub,
            endpoint=request.get("endpoint") or None,
        )

    with _lock(hub / ".locks" / folder.name):
        _remove_leftovers(folder / "blobs")
        counter = _Counter(folder / "blobs", request["memory"])
        counter.start()
        # The library's own download of a whole model would ask for the list of files again, and read it without a
        # limit. Answers to the download itself are read whole, too, where they are refusals. The system's limit on
        # memory is no way out: the client of the chunk store reserves gigabytes. So the counter watches what is used.
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(download, request["files"].items()):
                pass
        counter.stop()
        _point_at(folder, request.get("revision") or "main", request["commit"])
    return {"kind": "fetched", "commit": request["commit"]}


def remove_cut(folder: Path, commit: str, name: str, size: int) -> None:
    """Remove a file that is shorter than the Hub says: the library takes any file under the right name for whole.

    `size` is in bytes. Its blob goes too, where it is one of this model; what lies elsewhere is only no longer used.
    """
    link = folder / "snapshots" / commit / name
    try:
        if link.stat().st_size >= size:
            return
    except FileNotFoundError:
        return
    blob = os.path.realpath(link)
    link.unlink()
    if os.path.dirname(blob) == os.path.realpath(folder / "blobs"):
        os.unlink(blob)


def _point_at(folder: Path, revision: str, commit: str) -> None:
    """Let the name of a revision mean a commit in the cache, as huggingface_hub does."""
    if revision == commit:
        return
    ref = folder / "refs" / revision
    ref.parent.mkdir(parents=True, exist_ok=True)
    overwrite(ref, commit.encode())


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Two downloads of one repository on one machine would both fetch everything: the second waits."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "sparkrun-tui.lock"
    with ExitStack() as stack:
        try:
            stack.enter_context(hold(lock, wait=0))
        except Busy:
            _tell({"kind": "waiting"})
            stack.enter_context(hold(lock, wait=None))
        yield


class _Counter(threading.Thread):
    """Reports how many bytes have arrived since the start, as the disk shows it (progress callbacks start over).

    It ends the process once that holds more than `memory` bytes.
    """

    def __init__(self, blobs: Path, memory: int) -> None:
        super().__init__(daemon=True)
        self._blobs = blobs
        self._memory = memory
        self._before = disk_bytes(blobs)
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(_REPORT_EVERY):
            self._report()
            if resident() > self._memory:
                _tell({"kind": "error", "error": "large", "status": 0, "message": "it takes too much memory"})
                os._exit(1)

    def stop(self) -> None:
        self._over.set()
        self.join()
        self._report()

    def _report(self) -> None:
        _tell({"kind": "progress", "done": max(disk_bytes(self._blobs) - self._before, 0)})


def disk_bytes(folder: Path) -> int:
    """The bytes written to a folder's files (a file may be longer than what has been written into it)."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # renamed under us
                continue
            if entry.name.endswith(".incomplete"):
                total += min(status.st_size, status.st_blocks * 512)
            else:
                total += status.st_size
    return total


def _remove_leftovers(blobs: Path) -> None:
    """A download that was killed leaves its part under a random name that nothing ever uses again."""
    for path in blobs.glob("*.incomplete"):
        try:
            if time.time() - path.stat().st_mtime > _STALE_AFTER:
                path.unlink()
        except FileNotFoundError:
            continue


_CLASSES = (
    ("GatedRepoError", "gated"),
    ("DisabledRepoError", "missing"),
    ("RepositoryNotFoundError", "missing"),
    ("RevisionNotFoundError", "revision"),
    ("LocalEntryNotFoundError", "dropped"),
    ("EntryNotFoundError", "entry"),
    ("HFValidationError", "name"),
    ("OfflineModeIsEnabled", "offline"),
    ("ConnectError", "offline"),
    ("ConnectTimeout", "offline"),
    ("MemoryError", "large"),
    ("OutsideCacheError", "outside"),
)


def describe(error: BaseException) -> dict[str, Any]:
    """An exception of huggingface_hub as a message: its kind, the HTTP status (0 without one), and its first line."""
    status = 0
    kind = "other"
    for item in _chain(error):
        if not status:
            status = _status(item)
        if kind == "other":
            kind = _kind(item)
    if kind == "other" and status in (401, 403):
        kind = "unauthorized"
    if status == 429:
        kind = "limited"
    lines = [line for line in str(error).splitlines() if line.strip()]
    message = type(error).__name__
    if lines:
        message = lines[0]
    return {"error": kind, "status": status, "message": message}


def _chain(error: BaseException) -> list[BaseException]:
    """The exception, its cause, the cause of that, and so on."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain


def _kind(error: BaseException) -> str:
    """The kind of one exception by its classes; `other` for one that is not known."""
    names = {base.__name__ for base in type(error).__mro__}
    for name, kind in _CLASSES:
        if name in names:
            return kind
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "disk"
    return "other"


def _status(error: BaseException) -> int:
    response = getattr(error, "response", None)
    code = getattr(response, "status_code", 0)
    if not isinstance(code, int):
        return 0
    return code


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
