"""Image layers: reproducible tar.gz files out of Debian packages or files of ours, cached by what went in."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from benchmarks.debian import debian_mirror

FORMAT = 1
"""Part of every key: raise it when a layer is packed differently."""

_UNWANTED = re.compile(
    r"(dev|proc|sys|boot|media|mnt)/|usr/share/(doc|man|locale|info|perl|zoneinfo|bug|lintian)/"
    r"|usr/lib/[^/]+/(perl|gconv)|usr/lib/python3\.\d+/(pydoc_data|lib2to3|idlelib|test)/|var/(cache|lib/apt|lib/dpkg)/"
    r"|usr/(lib|libexec)/[^/]+/ggml/test-|etc/ld\.so\.cache"
)
"""Documentation and the like, which no test reads: half of a layer. `dev` and `proc` are Docker's to make."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A packed layer: its file, the digest of the file and of the tar inside, and its size in bytes."""

    path: str
    digest: str
    diff_id: str
    size: int


def cache_directory() -> Path:
    """Where layers and the registry's storage are kept from run to run."""
    named = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) / "sparkrun-tui-tests"


class LayerCache:
    """Layers in a directory, each beside a JSON file with its digests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def debian(self, suite: str, packages: tuple[str, ...]) -> Layer:
        """The packages and what they need, unpacked and not configured: seconds, where an install takes a minute."""
        key = _key("debian", suite, *packages, os.uname().machine)
        return self._cached(key, lambda target: self._pack_debian(suite, packages, target))

    def files(self, members: Mapping[str, bytes | Path], executable: frozenset[str] = frozenset()) -> Layer:
        """Our own files by their path in the image; a path that ends with `/` is a directory."""
        contents = {name: data.read_bytes() if isinstance(data, Path) else data for name, data in members.items()}
        digests = [f"{name}={hashlib.sha256(data).hexdigest()}" for name, data in sorted(contents.items())]
        key = _key("files", *digests, *sorted(executable))
        return self._cached(key, lambda target: _pack(_members(contents, executable), target))

    def _cached(self, key: str, make: Callable[[Path], tuple[str, str]]) -> Layer:
        path, record = self.directory / f"{key}.tar.gz", self.directory / f"{key}.json"
        if record.exists() and path.exists():
            return Layer(**json.loads(record.read_text()))
        partial = self.directory / f"{key}.{os.getpid()}.partial"
        try:
            digest, diff_id = make(partial)
            layer = Layer(str(path), digest, diff_id, partial.stat().st_size)
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
        record.write_text(json.dumps(asdict(layer)))
        return layer

    def _pack_debian(self, suite: str, packages: tuple[str, ...], target: Path) -> tuple[str, str]:
        raw = target.with_suffix(".tar")
        # The clock of a test machine may be ahead of the suite's signed date; the signature is still checked.
        options = ["--quiet", "--variant=extract", '--aptopt=Acquire::Check-Valid-Until "false"']
        command = ["mmdebstrap", *options, f"--include={','.join(packages)}", suite, str(raw), *debian_mirror()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
            with tarfile.open(raw) as source:
                return _pack(_wanted(source), target)
        finally:
            raw.unlink(missing_ok=True)


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join((str(FORMAT), *parts)).encode()).hexdigest()[:24]


def _wanted(source: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    for member in source:
        member.name = member.name.removeprefix("./")
        if member.islnk():
            member.linkname = member.linkname.removeprefix("./")
        if member.name not in ("", ".") and not _UNWANTED.match(member.name + "/" * member.isdir()):
            yield member, source.extractfile(member) if member.isreg() else None


def _members(
    contents: Mapping[str, bytes], executable: frozenset[str]
) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    for name, data in sorted(contents.items()):
        member = tarfile.TarInfo(name.strip("/"))
        if name.endswith("/"):
            member.type, member.mode = tarfile.DIRTYPE, 0o1777 if name.startswith("tmp") else 0o755
            yield member, None
        else:
            member.size, member.mode = len(data), 0o755 if name in executable else 0o644
            yield member, io.BytesIO(data)


def _pack(members: Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]], target: Path) -> tuple[str, str]:
    """Write a tar.gz; returns the digests of the file and of the tar inside. Same members, same bytes."""
    with open(target, "wb") as file:
        outer = _Hashing(file)
        with gzip.GzipFile(fileobj=outer, mode="wb", compresslevel=1, mtime=0, filename="") as packed:
            inner = _Hashing(packed)
            with tarfile.open(fileobj=inner, mode="w|", format=tarfile.GNU_FORMAT) as tar:  # type: ignore[call-overload]
                for member, data in members:
                    member.mtime, member.uname, member.gname = 0, "", ""
                    tar.addfile(member, data)
        return outer.digest(), inner.digest()


class _Hashing:
    """A file that hashes what is written to it."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"
