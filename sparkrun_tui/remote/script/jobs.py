"""Work that outlives the connection: started once on the host in a session of its own, followed byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from enum import StrEnum

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line, decode, log_line
from sparkrun_tui.remote.aio import closing
from sparkrun_tui.remote.failures import CommandFailed, LinkLost, NeedsUser
from sparkrun_tui.remote.transport import Outcome, Result, Transport

ROOT = "~/.cache/sparkrun-tui/jobs"
_KEY = late_regex(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")
_PAUSE = 0.3
_MAX_PAUSE = 5.0
_LAST = 4096
"""Bytes at the end of a job's output in which its last words are looked for."""
_TELLING = 30.0
"""Seconds that a host may take to report them."""


class JobState(StrEnum):
    """How a job is."""

    MISSING = "missing"
    RUNNING = "running"
    ENDED = "ended"
    DIED = "died"
    """It runs no more and left no exit code: killed, or the host was restarted."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job's state, its exit code when it ended, and how many bytes it has printed."""

    state: JobState
    code: int | None = None
    size: int = 0


# The folder is made by mkdir, which only one of two starts can win: starting again after a lost answer is safe.
_START = """\
# sparkrun-tui: job-start
set -e
umask 077
job={job}
mkdir -p -- "$(dirname -- "$job")"
if ! mkdir -- "$job" 2>/dev/null; then echo EXISTS; exit 0; fi
cat > "$job/script"
cat > "$job/run" <<'SPARKRUN_RUN'
cd -- "$HOME"
echo $$ > "$1/pid.new"; mv -f -- "$1/pid.new" "$1/pid"
sh "$1/script" </dev/null >"$1/out" 2>&1
echo $? > "$1/rc.new"; mv -f -- "$1/rc.new" "$1/rc"
SPARKRUN_RUN
: > "$job/out"
{env}
if command -v setsid >/dev/null 2>&1; then
  setsid sh "$job/run" "$job" </dev/null >/dev/null 2>&1 &
else
  nohup sh "$job/run" "$job" </dev/null >/dev/null 2>&1 &
fi
tries=0
while [ ! -s "$job/pid" ] && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries+1)); done
echo STARTED
"""

# A number of a process goes to another one after its end, at the latest when the host is restarted. A process is the
# job's when its arguments name the job. What its first process has left behind is in that one's group.
_FIND = """\
is_ours() {{ tr '\\0' '\\n' 2>/dev/null <"/proc/$1/cmdline" | grep -qxF -e "$job" -e "$job/script"; }}
pid=$(head -c 20 -- "$job/pid" 2>/dev/null)
case $pid in *[!0-9]*) pid= ;; esac
lead=$pid
[ -n "$pid" ] && is_ours "$pid" || lead=
# Empties pid where no process of its group is the job's.
find_group() {{
  if [ -z "$pid" ] || is_ours "$pid"; then return; fi
  for place in /proc/[0-9]*; do
    read -r line 2>/dev/null <"$place/stat" || continue
    set -- ${{line##*) }}
    if [ "${{3-}}" = "$pid" ] && is_ours "${{place#/proc/}}"; then return; fi
  done
  pid=
}}
"""

_STATUS = """\
# sparkrun-tui: job-status
job={job}
[ -d "$job" ] || {{ echo missing 0; exit 0; }}
size=$(wc -c < "$job/out" 2>/dev/null || echo 0)
if [ -s "$job/rc" ]; then echo "ended $size $(cat "$job/rc")"; exit 0; fi
{find}
if [ -n "$lead" ]; then echo "running $size"
else [ -s "$job/rc" ] && echo "ended $size $(cat "$job/rc")" || echo "died $size"
fi
"""

_FOLLOW = """\
# sparkrun-tui: job-follow
job={job}
{find}
if [ -s "$job/rc" ] || [ -z "$lead" ]; then tail -c +{start} -- "$job/out"; exit 0; fi
tail -c +{start} -f -s 0.2 --pid="$lead" -- "$job/out"
"""

_CANCEL = """\
# sparkrun-tui: job-cancel
job={job}
{find}
[ -s "$job/rc" ] && exit 0
find_group
[ -n "$pid" ] || exit 0
kill -s TERM -- "-$pid" 2>/dev/null || kill -s TERM "$pid" 2>/dev/null || exit 0
tries=0
while is_ours "$pid" && [ $tries -lt 30 ]; do sleep 0.1; tries=$((tries+1)); done
find_group
[ -z "$pid" ] || kill -s KILL -- "-$pid" 2>/dev/null || :
"""


class Jobs:
    """The jobs on one host, each known by a key such as `LAUNCH/pull`."""

    def __init__(
        self,
        transport: Transport,
        root: str = ROOT,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._transport = transport
        self._root = root
        self._sleep = sleep

    async def start(self, key: str, script: shell.Text, env: Mapping[str, str] | None = None) -> bool:
        """Start a job; False when there is one of this key already, which is then left alone.

        `env` is not secret. Raises `LinkLost` when it is not known whether it started: starting again is safe.
        """
        begin = shell.script(_START, job=self._folder(key), env=_exported(env or {}))
        result = await self._run(begin, script.encode("utf-8", "surrogateescape"))
        return "STARTED" in result.stdout

    async def status(self, key: str) -> JobStatus:
        """How the job is. Raises `HostError`."""
        result = await self._run(shell.script(_STATUS, job=self._folder(key), find=_found()))
        words = result.stdout.split()
        if len(words) < 2 or words[0] not in tuple(JobState):
            raise HostError(f"the host does not report the state of {key}", host=self._transport.name)
        code = whole(words[2]) if len(words) > 2 else None
        return JobStatus(JobState(words[0]), code, whole(words[1]) or 0)

    async def follow(self, key: str, offset: int = 0) -> AsyncIterator[bytes]:
        """The job's output from byte `offset` on, until it ends; lost links are waited out, no byte is lost."""
        pause = _PAUSE
        while True:
            try:
                status = await self.status(key)
                script = shell.script(_FOLLOW, job=self._folder(key), find=_found(), start=offset + 1)
                async with closing(self._transport.stream(script)) as pieces:
                    async for stream, data in pieces:
                        if stream == "stdout":
                            offset += len(data)
                            pause = _PAUSE
                            yield data
                if status.state is not JobState.RUNNING:
                    return
            except NeedsUser:
                raise
            except CommandFailed:
                if (await self.status(key)).state is JobState.MISSING:
                    return
            except LinkLost:
                pass
            # The link is down, or a host says that the job runs and sends nothing more.
            await self._sleep(pause)
            pause = min(pause * 2, _MAX_PAUSE)

    async def last_words(self, key: str) -> str:
        """The last line that an ended job printed; empty when it printed none, or the host does not answer in time."""
        tail = b""
        start = max((await self.status(key)).size - _LAST, 0)
        with suppress(TimeoutError):
            async with asyncio.timeout(_TELLING), closing(self.follow(key, start)) as output:
                async for data in output:
                    tail = (tail + data)[-_LAST:]
        return log_line(decode(tail).strip().rpartition("\n")[2])

    async def run(
        self, key: str, script: shell.Text, env: Mapping[str, str] | None = None, *, keep: bool = False
    ) -> AsyncGenerator[tuple[str, bytes], None]:
        """Like `Transport.stream`, but a link that breaks costs nothing: started once, joined again, then forgotten.

        Both output streams come as `stdout`. Closing it stops the job, unless `keep` leaves that to `end`. Raises
        `CommandFailed` when it ends with another exit code than 0, `HostError` when it was killed.
        """
        await self._start_surely(key, script, env)
        tail = b""
        try:
            async with closing(self.follow(key)) as output:
                async for data in output:
                    tail = (tail + data)[-_LAST:]
                    yield "stdout", data
            status = await self.wait(key)
        except (GeneratorExit, asyncio.CancelledError):
            if not keep:
                with suppress(HostError, TimeoutError):
                    async with asyncio.timeout(5):
                        await self.cancel(key)
            raise
        if status.state is not JobState.ENDED:
            raise HostError("a job on the host was killed, or the host was restarted", host=self._transport.name)
        await self.forget(key)
        if status.code != 0:
            said = log_line(decode(tail).strip().rpartition("\n")[2])
            code = -1 if status.code is None else status.code
            raise CommandFailed(said or f"a job ended with exit code {code}", host=self._transport.name, code=code)

    async def _start_surely(self, key: str, script: shell.Text, env: Mapping[str, str] | None) -> None:
        """Start it, and again where the answer is lost: a second start does nothing."""
        pause = _PAUSE
        while True:
            try:
                await self.start(key, script, env)
                return
            except LinkLost:
                await self._sleep(pause)
                pause = min(pause * 2, _MAX_PAUSE)

    async def wait(self, key: str) -> JobStatus:
        """Wait until the job has ended, over lost links."""
        pause = _PAUSE
        while True:
            try:
                status = await self.status(key)
            except LinkLost:
                status = None
            if status is not None and status.state is not JobState.RUNNING:
                return status
            await self._sleep(pause)
            pause = min(pause * 1.5, _MAX_PAUSE)

    async def cancel(self, key: str) -> None:
        """Stop the job's whole process group (TERM, 3 s later KILL); fine when it has ended."""
        await self._run(shell.script(_CANCEL, job=self._folder(key), find=_found()))

    async def end(self, key: str) -> None:
        """Stop the job and remove what is left of it; fine when there is none. Raises `LinkLost`, `HostError`."""
        await self.cancel(key)
        await self.forget(key)

    async def forget(self, key: str) -> None:
        """Remove the job's folder; what it printed is gone then."""
        script = shell.script("rm -rf -- {job}\n", job=self._folder(key))
        group = key.rpartition("/")[0]
        if group:
            # The folder of a launch goes with its last job.
            script += shell.script("rmdir -- {group} 2>/dev/null || :\n", group=self._folder(group))
        await self._run(script)

    def _folder(self, key: str) -> shell.Text:
        if not _KEY.fullmatch(key) or ".." in key:
            raise ValueError(f"not a job key: {key!r}")
        return shell.path_word(f"{self._root}/{key}")

    async def _run(self, script: shell.Text, stdin: bytes = b"") -> Result:
        result = await self._transport.run(script, stdin=stdin, timeout=30.0)
        if result.outcome in (Outcome.LOST, Outcome.TIMED_OUT):
            raise LinkLost(f"no answer about a job ({result.outcome.value})", host=self._transport.name)
        if not result.ok:
            said = clean_line(result.stderr.strip().rpartition("\n")[2])
            raise HostError(f"a job cannot be handled: {said}", host=self._transport.name)
        return result


def _found() -> shell.Text:
    """Commands that set `lead` to the number of the job's first process, empty where it runs no more; see `_FIND`."""
    return shell.script(_FIND)


def _exported(env: Mapping[str, str]) -> shell.Text:
    """Commands that set variables for the job; `:` when there are none."""
    for name in env:
        if identifiers.variable_name(name) is None:
            raise ValueError(f"not a name for a variable: {name!r}")
    pairs = shell.words(f"{name}={value}" for name, value in env.items())
    if not env:
        return shell.script(":")
    return shell.script("export {pairs}", pairs=pairs)
