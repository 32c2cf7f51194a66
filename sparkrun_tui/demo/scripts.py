"""The answers of a simulated host to the scripts that are sent to it. No script is ever executed."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Callable

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.demo.guard import answer as guard_answer
from sparkrun_tui.demo.guard import guard_in
from sparkrun_tui.demo.host import HOME, Host
from sparkrun_tui.demo.jobs import Job
from sparkrun_tui.demo.probe import answer as probe_answer
from sparkrun_tui.demo.stores import files_of, listed, removed

_OUTER = late_regex(r"sh /dev/fd/3 3<<'(?P<mark>[\w-]+)S'[^\n]*\n(?P<body>.*?)\n(?P=mark)S\n", re.DOTALL)
_WITH_STDIN = late_regex(
    r"4<<'(?P<mark>[\w-]+)P'\n(?P<data>.*?)(?P=mark)I\nexec 4<&-\n(?P<body>.*)\n(?P=mark)P", re.DOTALL
)
_KIND = late_regex(r"^# sparkrun-tui: ([a-z-]+)$", re.MULTILINE)

_CANNOT = "the demo's hosts cannot run this script: "


@dataclass(frozen=True, slots=True)
class Sent:
    """A received script: its text, its stdin, and the mark that both output streams must begin with."""

    script: str
    stdin: bytes
    mark: str


@dataclass(frozen=True, slots=True)
class Said:
    """The output and the exit code of a script."""

    stdout: str = ""
    stderr: str = ""
    code: int = 0


def whole(text: bytes | bytearray) -> bool:
    """Whether an envelope is complete."""
    return text.endswith(b"\nsparkrun_main\n")


def unwrap(text: str) -> Sent | None:
    """The script in an envelope (`remote.envelope`); None when the text is not an envelope."""
    outer = _OUTER.search(text)
    if outer is None:
        return None
    mark, body = outer["mark"], outer["body"].removeprefix("exec 3<&-\n")
    inner = _WITH_STDIN.search(body)
    if inner is None:
        return Sent(body, b"", mark)
    return Sent(inner["body"], base64.b64decode(inner["data"]), mark)


def reply(host: Host, sent: Sent) -> Said:
    """The answer of the host to a script; an unknown script ends with code 127."""
    kind = _KIND.search(sent.script)
    if kind is not None and kind[1] in _ANSWERS:
        return _ANSWERS[kind[1]](host, sent)
    words = _words(sent.script)
    if words[:3] == ["mkdir", "-p", "--"] or words[:2] == ["mkdir", "-p"]:
        return Said()
    if words[:3] == ["rm", "-rf", "--"] and len(words) > 3:
        gone = host.jobs.pop(_key(words[3]), None)
        host.guards.pop(_key(words[3]), None)
        if gone is not None:
            gone.cancel()
        return Said()
    if words[:2] == ["du", "-sk"]:
        return Said("0\n")
    return Said(stderr=f"{_CANNOT}{_first_line(sent.script)}\n", code=127)


def _first_line(script: str) -> str:
    return next((line.strip() for line in script.splitlines() if line.strip()), "")[:80]


def _words(script: str) -> list[str]:
    try:
        return shlex.split(script.split("\n", 1)[0])
    except ValueError:
        return []


def path_of(word: str) -> str:
    """A path as a script writes it, `~` and `$HOME` filled in."""
    path = "".join(_words(word))
    return path.replace("$HOME", HOME) if path.startswith("$HOME") else path


def _probe(host: Host, sent: Sent) -> Said:
    lines = (_words(line) for line in sent.script.splitlines() if line.startswith("disk "))
    # Words with `$` are folders that the probe itself finds.
    disks = [words[1] for words in lines if len(words) == 3 and not words[1].startswith("$")]
    return Said(probe_answer(host, disks))


def _write_file(host: Host, sent: Sent) -> Said:
    target = re.search(r"^target=(.*)$", sent.script, re.MULTILINE)
    host.files[path_of(target[1]) if target else ""] = sent.stdin
    return Said()


def job_key(sent: Sent) -> str:
    """The key of the job in a script; empty without one."""
    found = re.search(r"^job=(.*)$", sent.script, re.MULTILINE)
    return _key("".join(_words(found[1]))) if found else ""


def follows(sent: Sent) -> int | None:
    """The byte from which a script follows a job's output; None when it does not follow one."""
    kind = _KIND.search(sent.script)
    if kind is None or kind[1] != "job-follow":
        return None
    found = re.search(r"^tail -c \+(\d+) -f", sent.script, re.MULTILINE)
    return None if found is None else int(found[1]) - 1


def _key(path: str) -> str:
    return path.rpartition("/jobs/")[2]


def _job_start(host: Host, sent: Sent) -> Said:
    key = job_key(sent)
    if key in host.jobs:
        return Said("EXISTS\n")
    image = re.search(r"IMAGE=(\S+)", sent.script)
    name = "".join(_words(image[1])) if image else ""
    text = sent.stdin.decode("utf-8", "replace")
    job = host.jobs[key] = Job()
    if name and "docker" in text:
        job.begin(lambda _say: _pulled(host, name))
    elif (guard := guard_in(host, text)) is not None:
        host.guards[key] = guard
        job.begin(guard.run)
    elif host.acted is not None and host.acted.knows(text):
        acted = host.acted
        job.begin(lambda say: acted.run(host, text, say))
    else:
        job.begin(lambda say: _unknown(text, say))
    return Said("STARTED\n")


async def _pulled(host: Host, image: str) -> int:
    """Act as a `docker pull` next to the pull through the API: it ends when that one has finished."""
    while image not in host.images:
        await host.clock.sleep(0.5)
    return 0


async def _unknown(text: str, say: Callable[[str], None]) -> int:
    say(_CANNOT + _first_line(text))
    return 127


def _job_status(host: Host, sent: Sent) -> Said:
    job = host.jobs.get(job_key(sent))
    return Said("missing 0\n" if job is None else job.text())


def _job_cancel(host: Host, sent: Sent) -> Said:
    job = host.jobs.get(job_key(sent))
    if job is not None:
        job.cancel()
    return Said()


def _guard_read(host: Host, sent: Sent) -> Said:
    found = re.search(r"^folder=(.*)$", sent.script, re.MULTILINE)
    return Said(guard_answer(host, _key("".join(_words(found[1]))) if found else "", sent.script))


def _guard_forget(host: Host, sent: Sent) -> Said:
    """A simulated host has no old records."""
    return Said()


def _lease_take(host: Host, sent: Sent) -> Said:
    launch, owner = _quoted_after("grep -qF -e ", sent.script), _quoted_after("printf %s ", sent.script)
    if not host.lease or launch.encode() in host.lease or "[ 1 = 1 ]" in sent.script:
        host.lease = owner.encode()
        return Said("won\n")
    return Said("held 0\n" + host.lease.decode())


def _lease_renew(host: Host, sent: Sent) -> Said:
    return Said(code=0 if _quoted_after("grep -qF -e ", sent.script).encode() in host.lease else 1)


def _lease_release(host: Host, sent: Sent) -> Said:
    if _quoted_after("grep -qF -e ", sent.script).encode() in host.lease:
        host.lease = b""
    return Said()


def _quoted_after(before: str, script: str) -> str:
    """The shell word after the text `before`."""
    lexer = shlex.shlex(script.partition(before)[2], posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return next(iter(lexer), "")


def _hook(host: Host, sent: Sent) -> Said:
    return Said(f"{host.name} is simulated: a recipe's own commands are shown here and run nowhere\n")


def _model_path(host: Host, sent: Sent) -> Said:
    """A simulated host has a model at every path, of which it says nothing."""
    found = re.search(r"^path=(.*)$", sent.script, re.MULTILINE)
    path = path_of(found[1]) if found else "/"
    kind = "file" if path.lower().endswith(".gguf") else "folder"
    return Said(f"kind\t{kind}\nreal\t{path}\nconfig\te30=\nend\n")


def _store_list(host: Host, sent: Sent) -> Said:
    return Said(listed(host))


def _store_mounts(host: Host, sent: Sent) -> Said:
    """Simulated folders have one name each."""
    return Said("end\n")


def _store_remove(host: Host, sent: Sent) -> Said:
    return Said(removed(host, sent.script))


def _cache_list(host: Host, sent: Sent) -> Said:
    return Said(files_of(host, sent.script))


def _activity(host: Host, sent: Sent) -> Said:
    """A simulated host reads 400 MiB a second while one of its engines loads."""
    loads = any(container.running and not container.serving for container in host.containers.values())
    sectors = 0
    if loads:
        sectors = 2_400_000
    lines = [f"hz\t100\ntime\t{3 * n}\nticks\t{90 * n}\nprocesses\t2\nsectors\t{sectors * n}" for n in (1, 2)]
    return Said("\n".join([*lines, "end", ""]))


def _file_head(host: Host, sent: Sent) -> Said:
    """A simulated model has no bytes, so its header says nothing."""
    return Said()


_ANSWERS: dict[str, Callable[[Host, Sent], Said]] = {
    "hook": _hook,
    "probe": _probe,
    "write-file": _write_file,
    "guard-forget": _guard_forget,
    "guard-read": _guard_read,
    "job-start": _job_start,
    "job-status": _job_status,
    "job-cancel": _job_cancel,
    "model-path": _model_path,
    "lease-take": _lease_take,
    "lease-renew": _lease_renew,
    "lease-release": _lease_release,
    "activity": _activity,
    "store-list": _store_list,
    "store-mounts": _store_mounts,
    "store-remove": _store_remove,
    "cache-list": _cache_list,
    "file-head": _file_head,
}
