"""Sends models to hosts with rsync, into the Hugging Face cache layout; a half-sent model never looks whole."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path, PurePosixPath

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.make_room import room_for_models
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line, decode, log_line
from sparkrun_tui.remote import children
from sparkrun_tui.remote.aio import closing
from sparkrun_tui.remote.failures import LinkLost, TransferLost
from sparkrun_tui.remote.hub import host_cache
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.meter import Meter
from sparkrun_tui.remote.ports.models import CacheListing, ModelRequest, StoredModel, Transfer
from sparkrun_tui.remote.script.jobs import Jobs
from sparkrun_tui.remote.script.lines import ByteLines
from sparkrun_tui.remote.ssh.arguments import SshAccess, destination, rsync_shell
from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.ssh.resolve import Resolver
from sparkrun_tui.remote.ssh.unlocked_keys import KeyRing
from sparkrun_tui.remote.transfer import relay
from sparkrun_tui.remote.transport import Outcome, Transport

# Whole files appear under their final names only; what was sent of a file that broke off is used again.
_FLAGS = (
    "-rlts",
    "--chmod=Du=rwx,Dgo=rx,Fu=rw,Fgo=r",
    "--partial-dir=.sparkrun-partial",
    "--no-inc-recursive",
    "--info=progress2",
    "--outbuf=L",
    "--timeout=60",
    "--from0",
    "--files-from=-",
)
_OLDEST = (3, 1)
_TRIES = 6
_PASSING = frozenset({10, 12, 30, 35, 255})
_MAX_LINE = 4096
_PROGRESS = late_regex(rb"^\s*([\d,.]+)\s+\d+%\s+\S+\s+[\d:]+(?:\s+\(xfr#\d+, (?:ir|to)-chk=(\d+)/(\d+)\))?")

# Sizes are asked through the links, so that a link without its blob counts as missing.
_MISSING = """\
hub={hub}
while IFS="	" read -r size path; do
  [ "$(stat -Lc %s -- "$hub/$path" 2>/dev/null)" = "$size" ] || printf '%s\\n' "$path"
done
"""
_REF = """\
[ "$(cat -- {path} 2>/dev/null)" = {commit} ] || echo '(ref)'
"""


@dataclass(frozen=True, slots=True)
class _Parts:
    """The three lists of a shipment, paths relative to the hub folder, in the order they must arrive."""

    blobs: tuple[str, ...]
    links: tuple[str, ...]
    refs: tuple[str, ...]


class RsyncShipper:
    """A `Shipper` that runs the workstation's rsync over its ssh."""

    def __init__(
        self,
        resolver: Resolver,
        policy: HostKeyPolicy,
        *,
        ring: KeyRing | None = None,
        rsync: str = "rsync",
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._access = SshAccess(resolver, policy, ring)
        self._rsync = rsync
        self._sleep = sleep

    async def present(self, model: StoredModel, transport: Transport, hf_cache: str) -> bool:
        """Whether the host has every file of the model, whole, and the ref that names its commit."""
        return not await self._missing(model, transport, hf_cache)

    async def listing(self, request: ModelRequest, transport: Transport, hf_cache: str) -> CacheListing | None:
        """What the host's cache holds of a model; see `Shipper.listing`."""
        return await host_cache.listing(transport, hf_cache, request.repo, request.revision)

    async def ship(self, model: StoredModel, transport: Transport, hf_cache: str) -> AsyncIterator[Transfer]:
        """Send what is missing. Raises `HostError`; what breaks off is tried again and goes on where it was."""
        missing = set(await self._missing(model, transport, hf_cache))
        if missing:
            await self._check_tools(transport)
            parts = parts_of(model)
            absent = [file for file in model.files if f"{model.snapshot}/{file.name}" in missing]
            have = model.size - sum(file.size for file in absent)
            target = await self._target(transport, hf_cache)
            meter = Meter()
            yield meter.transfer(have, model.size)
            async with closing(self._send(model.hub, parts.blobs, target, transport)) as counts:
                async for sent in counts:
                    yield meter.transfer(min(have + sent, model.size), model.size, model.repo)
            for names in (parts.links, parts.refs):
                async with closing(self._send(model.hub, names, target, transport)) as counts:
                    async for _sent in counts:
                        pass
            left = await self._missing(model, transport, hf_cache)
            if left:
                raise HostError(f"{left[0]} is not whole after the transfer", host=transport.name)
        yield Transfer(model.size, model.size)

    async def reaches(self, source: Transport, address: str, boot_id: str) -> bool:
        """Whether a host can send to another at `address` by itself; see `Shipper.reaches`."""
        if not relay.is_address(address):
            return False
        return (await source.run(relay.reach_script(address, boot_id), timeout=30.0)).ok

    async def relay(
        self,
        model: StoredModel,
        source: Transport,
        source_cache: str,
        target: Transport,
        target_cache: str,
        address: str,
    ) -> AsyncIterator[Transfer]:
        """Let one host send to another what is missing there; see `Shipper.relay`."""
        missing = set(await self._missing(model, target, target_cache))
        have = sum(file.size for file in model.files if f"{model.snapshot}/{file.name}" not in missing)
        script = relay.send_script(model, f"{source_cache}/hub", address, f"{target_cache}/hub", _FLAGS)
        key = f"relay-{hashlib.sha256(f'{model.snapshot} {target.name}'.encode()).hexdigest()[:16]}"
        meter = Meter()
        yield meter.transfer(have, model.size)
        reader, best = ProgressReader(), 0
        async with closing(Jobs(source, sleep=self._sleep).run(key, script)) as output:
            async for _stream, data in output:
                # The short lists that follow the blobs count from nothing again.
                best = max([best, *reader.feed(data)])
                yield meter.transfer(min(have + best, model.size), model.size, f"from {source.name}")
        left = await self._missing(model, target, target_cache)
        if left:
            raise HostError(f"{left[0]} is not whole after the transfer from {source.name}", host=target.name)
        yield Transfer(model.size, model.size)

    async def _missing(self, model: StoredModel, transport: Transport, hf_cache: str) -> list[str]:
        hub = f"{hf_cache.rstrip('/')}/hub"
        script = shell.script(_MISSING, hub=shell.path_word(hub))
        if model.ref:
            path = shell.path_word(f"{hub}/{model.folder}/refs/{model.ref}")
            script += shell.script(_REF, path=path, commit=model.commit)
        rows = "".join(f"{file.size}\t{model.snapshot}/{file.name}\n" for file in model.files)
        result = await transport.run(script, stdin=rows.encode(), timeout=60.0)
        if result.outcome is Outcome.LOST:
            raise LinkLost("the connection was lost while the model cache was checked", host=transport.name)
        if not result.ok:
            said = clean_line(result.stderr.strip().rpartition("\n")[2]) or result.outcome.value
            raise HostError(f"the model cache {hub} cannot be checked: {said}", host=transport.name)
        return result.stdout.splitlines()

    async def _target(self, transport: Transport, hf_cache: str) -> list[str]:
        """The `-e` words and the destination operand; the folder is made first."""
        hub = f"{hf_cache.rstrip('/')}/hub"
        ready = shell.script("mkdir -p -- {hub} && test -w {hub}", hub=shell.path_word(hub))
        made = await transport.run(ready, timeout=30.0)
        if made.outcome is Outcome.LOST:
            raise LinkLost("the connection was lost", host=transport.name)
        if not made.ok:
            said = clean_line(made.stderr.strip().rpartition("\n")[2])
            give = shell.script('sudo chown -R "$USER" -- {cache}', cache=shell.path_word(hf_cache))
            raise HostError(
                f"{hub} cannot be written{f': {said}' if said else ''}",
                host=transport.name,
                remedy=f"On the host: {give}   (a container run as root may have made it)",
            )
        # No shell expands the operand (-s); a relative path starts at the home, as `~` would.
        folder = hub.removeprefix("~/") + "/"
        if isinstance(transport, LocalTransport):
            return ["--", f"{_at_home(hub)}/"]
        endpoint = await self._access.resolver.resolve(transport.name)
        words = await self._access.words(transport.name)
        name = destination(endpoint)
        name = f"[{name}]" if ":" in name else name
        return ["-e", rsync_shell(words), "--", f"{name}:{folder}"]

    async def _send(
        self, hub: str, names: Sequence[str], target: Sequence[str], transport: Transport
    ) -> AsyncIterator[int]:
        """Send files of `hub`; yields bytes sent by this call, over all its tries."""
        base = failures = 0
        while names:
            sent = 0
            try:
                async with closing(self._run(hub, names, target, transport.name)) as counts:
                    async for sent in counts:
                        yield base + sent
                return
            except _Passing as passing:
                # A try that moved something starts the count anew: a slow, shaky line gets there in the end.
                if sent:
                    failures = 0
                failures += 1
                base += sent
                if failures >= _TRIES:
                    raise passing.error from passing
            await self._sleep(min(2.0**failures, 20.0))

    async def _run(self, hub: str, names: Sequence[str], target: Sequence[str], host: str) -> AsyncIterator[int]:
        words = [self._rsync, *_FLAGS, *target[:-2], "--", f"{hub.rstrip('/')}/", target[-1]]
        env = {**os.environ, "LC_ALL": "C"}
        env.pop("RSYNC_RSH", None)
        process = await children.spawn(words, env=env, stdin=asyncio.subprocess.PIPE)
        async with children.stopping(process):
            assert process.stdin is not None and process.stdout is not None
            errors = asyncio.create_task(children.last_words(process.stderr))
            process.stdin.write(b"\0".join(name.encode() for name in names))
            process.stdin.close()
            reader = ProgressReader()
            while data := await process.stdout.read(65536):
                if counts := reader.feed(data):
                    yield counts[-1]
            code = await process.wait()
            said = decode(await errors)
        if code:
            error = explain(code, said, host)
            may_pass = code in _PASSING and not _is_final(said)
            if may_pass:
                raise _Passing(error)
            raise error

    async def _check_tools(self, transport: Transport) -> None:
        """Raises `HostError` when this machine cannot send."""
        if not isinstance(transport, LocalTransport) and shutil.which("ssh") is None:
            raise HostError(
                "ssh is not installed on this machine", remedy="Install it: sudo apt-get install openssh-client"
            )
        if shutil.which(self._rsync) is None:
            raise HostError("rsync is not installed on this machine", remedy="Install it: sudo apt-get install rsync")
        process = await children.spawn([self._rsync, "--version"])
        async with children.stopping(process):
            out, _ = await process.communicate()
        found = version(decode(out))
        if found is None or found < _OLDEST:
            first = clean_line(decode(out).partition("\n")[0])
            raise HostError(
                f"this machine's rsync is too old or another program ({first})",
                remedy="Needed is rsync 3.1 or newer; on macOS: brew install rsync",
            )


class _Passing(Exception):
    """A failure that may pass by itself."""

    def __init__(self, error: HostError) -> None:
        super().__init__(str(error))
        self.error = error


def parts_of(model: StoredModel) -> _Parts:
    """What to send, in order: the blobs, the links of the snapshot that point at them, and the ref."""
    blobs: list[str] = []
    links: list[str] = []
    for file in model.files:
        path = f"{model.snapshot}/{file.name}"
        links.append(path)
        blob = _blob_of(Path(model.hub), path)
        if blob:
            blobs.append(blob)
    refs: tuple[str, ...] = ()
    if model.ref:
        refs = (f"{model.folder}/refs/{model.ref}",)
    return _Parts(tuple(dict.fromkeys(blobs)), tuple(links), refs)


def _blob_of(hub: Path, path: str) -> str:
    """The blob that a snapshot's link points at, relative to the hub; empty where caches hold plain files."""
    full = hub / path
    if not full.is_symlink():
        return ""
    target = PurePosixPath(os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(full))))
    is_blob = len(target.parts) == 3 and target.parts[1] == "blobs"
    if not is_blob:
        return ""
    return str(target)


def _at_home(path: str) -> str:
    return os.path.expanduser(path)


class ProgressReader:
    """Finds rsync's progress in what it prints, whose lines end at `\\r` or `\\n`. The other side may print, too."""

    def __init__(self) -> None:
        self._lines = ByteLines(_MAX_LINE)

    def feed(self, data: bytes) -> list[int]:
        """The counts of bytes in the lines that `data` completes."""
        lines = self._lines.feed(data.replace(b"\r", b"\n"))
        return [count for line in lines if (count := progress(line)) is not None]


def progress(line: bytes) -> int | None:
    """The bytes sent so far in a line of `--info=progress2`; None when it is another line."""
    found = _PROGRESS.match(line)
    if found is None:
        return None
    return whole(decode(found[1]).replace(",", "").replace(".", ""))


def version(text: str) -> tuple[int, int] | None:
    """The version of a real rsync in the output of `rsync --version`; None for others (macOS has openrsync)."""
    found = re.match(r"rsync\s+version\s+v?([0-9]+)\.([0-9]+)", text)
    if found is None:
        return None
    major, minor = whole(found[1]), whole(found[2])
    if major is None or minor is None:
        return None
    return major, minor


def _is_final(said: str) -> bool:
    words = ("Permission denied (", "Host key verification failed", "command not found", "is your shell clean")
    return any(word in said for word in words)


def explain(code: int, said: str, host: str) -> HostError:
    """rsync's exit code and its last line as an error with a remedy."""
    last = log_line(_last_line(said) or f"rsync ended with code {code}")
    if "command not found" in said or code == 127:
        return HostError("rsync is missing on the host", host=host, remedy="On the host: sudo apt-get install rsync")
    if "is your shell clean" in said or code == 2:
        return HostError(
            f"the login shell prints text into the transfer: {last}",
            host=host,
            remedy="Make ~/.bashrc silent for shells that are not interactive.",
        )
    if "Permission denied (" in said:
        return HostError(
            f"the host refuses the ssh login of the transfer: {last}",
            host=host,
            remedy="The transfer cannot ask for a passphrase: unlock the key with ssh-add, or use one without.",
        )
    if code == 11 or "No space left" in said:
        return HostError(f"the disk is full or cannot be written: {last}", host=host, remedy=room_for_models(host))
    if code in (23, 24):
        return HostError(f"some files could not be sent: {last}", host=host)
    if code in _PASSING:
        return TransferLost(f"the transfer broke off: {last}", host=host)
    return HostError(f"rsync failed ({code}): {last}", host=host)


def _last_line(said: str) -> str:
    """The last line that names a cause, else the last line; empty without one."""
    last = ""
    for line in reversed(said.splitlines()):
        if not line.strip():
            continue
        if not line.startswith(("rsync error:", "rsync: connection unexpectedly")):
            return line
        last = last or line
    return last
