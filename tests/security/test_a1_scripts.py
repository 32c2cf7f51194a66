"""A1, A14 and the low points: every script that is sent to a host, put together with hostile values and really run."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.reading.identifiers import Commit
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.layout.common import hook_script, secret_file, start_script
from sparkrun_tui.engines.plan import ContainerExec, ContainerSpec, Hook, Mount
from sparkrun_tui.launch.plan.archive import exec_files
from sparkrun_tui.launch.plan.containers import copy_commands, exec_command, run_command, send_command, whole
from sparkrun_tui.launch.plan.steps import plan_steps
from sparkrun_tui.recipe.bundled_files.attachments import Bundle
from sparkrun_tui.recipe.bundled_files.sent_files import SentFile
from sparkrun_tui.remote.guard import guards
from sparkrun_tui.remote.guard import script as guard_script
from sparkrun_tui.remote.hub import host_cache
from sparkrun_tui.remote.ports.models import ModelFile, StoredModel
from sparkrun_tui.remote.probe.script import script as probe_script
from sparkrun_tui.remote.script.files import write_script
from sparkrun_tui.remote.script.jobs import Jobs
from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.transfer import relay
from sparkrun_tui.remote.transfer.rsync import RsyncShipper
from sparkrun_tui.remote.transport import Outcome, Result
from tests.engines.samples import host, plan, with_command
from tests.support.shell_stubs import PAYLOADS, Sandbox
from tests.support.site import FixedResolver

LONG = bool(os.environ.get("SPARKRUN_TUI_LONG"))
CLUSTER = Cluster("lab", ("h",), guard_floor_gib=4.0)
COMMIT = Commit("0123456789abcdef" * 2 + "01234567")

Script = tuple[str, bytes]
Builder = Callable[[str], "list[Script]"]


@dataclass
class Recorder:
    """A transport that runs nothing and keeps the scripts."""

    name: str = "recorder"
    scripts: list[Script] = field(default_factory=list)
    said: str = ""

    async def run(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0) -> Result:
        self.scripts.append((script, stdin))
        return Result(Outcome.EXITED, 0, self.said, "")

    async def stream(self, script: str) -> AsyncIterator[tuple[str, bytes]]:
        self.scripts.append((script, b""))
        return
        yield  # pragma: no cover

    async def connect(self) -> None:
        return None


def model(**changes: object) -> StoredModel:
    values: dict[str, object] = {
        "repo": "org/m", "commit": COMMIT, "hub": "/hub", "files": (ModelFile("config.json", 2, True),), "ref": "main"
    }  # fmt: skip
    return StoredModel(**{**values, **changes})  # type: ignore[arg-type]


async def _job(key: str, root: str, env: str = "x") -> list[Script]:
    recorder = Recorder(said="running 0")
    jobs = Jobs(recorder, root)  # type: ignore[arg-type]
    await jobs.start(key, "echo hello\n", {"IMAGE": env})  # type: ignore[arg-type]
    await jobs.status(key)
    recorder.said = "ended 0 0"
    async for _ in jobs.follow(key):
        pass
    await jobs.cancel(key)
    await jobs.forget(key)
    return recorder.scripts


async def _cache(folder: str = "/c", repo: str = "org/m", revision: str = "") -> list[Script]:
    recorder = Recorder()
    await host_cache.listing(recorder, folder, repo, revision)  # type: ignore[arg-type]
    return recorder.scripts


async def _present(stored: StoredModel, folder: str = "~/c") -> list[Script]:
    recorder = Recorder()
    shipper = RsyncShipper(FixedResolver(), HostKeyPolicy())
    await shipper.present(stored, recorder, folder)  # type: ignore[arg-type]
    return recorder.scripts


def _send(stored: StoredModel, hub: str = "~/h", address: str = "10.0.0.2", target: str = "~/t") -> list[Script]:
    return [(relay.send_script(stored, hub, address, target, ("-rlts", "--info=progress2")), b"")]


def _bundle(name: str) -> Bundle:
    return Bundle("/src/" + name, (SentFile(f"/src/{name}", "", 1, False, "0" * 64),))


def _spec(**changes: object) -> ContainerSpec:
    values: dict[str, object] = {"name": "c", "image": "a/b:1", "script": "vllm serve m\n"}
    return ContainerSpec(**{**values, **changes})  # type: ignore[arg-type]


def _copied(spec: ContainerSpec) -> list[Script]:
    return [(command, b"") for command in copy_commands("h", spec)]


def _guard(folder: str = "g", container: str = "c", proc: str = "/proc") -> list[Script]:
    """The memory guard, as it is sent and as it is shown, and what reads and removes its record."""
    place = shell.path_word(f"~/{folder}")
    guard = guard_script.guard(place, container, 1, proc=proc)
    shown = guards.by_hand("abcd2345", container, 1 << 30)
    return [
        (text, b"") for text in (guard, shown, guard_script.read(place, past=1, recent=1), guard_script.forget(place))
    ]


def _hosts(p: str, slot: str, runtime: str, count: int) -> list[Script]:
    """Everything that a plan would run on its hosts, one of which says something hostile of itself."""
    value = f"/{p}" if slot in ("home", "hf_cache", "app_cache") else p
    views = tuple(host(number, **{slot: value}) for number in range(1, count + 1))
    top = "min_nodes: 2" if count > 1 else ""
    commands = {
        "llama-cpp": "llama-server -hf {model} --port 80", "sglang": "python3 -m sglang.launch_server --model-path m",
    }  # fmt: skip
    what = with_command(commands.get(runtime, "vllm serve {model}"), runtime, "acme/F", top)
    serve = plan(what, count, views=views, secret_env={"HF_TOKEN": Secret("s3cr3t")})
    scripts: list[Script] = [(script.script, b"") for stage in serve.stages for script in stage.scripts]
    scripts += [(whole(rank.container), b"") for rank in serve.ranks]
    scripts += [(command.text, b"") for step in plan_steps(serve, views, CLUSTER) for command in step.commands]
    return scripts


def _gguf(p: str, command: str) -> list[Script]:
    what = with_command(command, "llama-cpp", "acme/F-GGUF:Q4_K_M")
    serve = plan(what, gguf_path=f"/hub/models--acme--F-GGUF/snapshots/1f/{p}.gguf")
    return [(serve.ranks[0].container.script, b"")]


LLAMA = (
    "llama-server -hf {model} --port 80", 'llama-server -hf "{model}" --port 80', "llama-server --hf-repo={model}",
    "llama-server -m {model}", "M={model}\nllama-server --hf_repo $M", "bash -c 'llama-server -hf {model}'",
    'bash -c "llama-server -hf {model}"', "sh -lc 'exec llama-server -hf {model}'",
    "llama-server -hf {model} --mmproj m.gguf",
)  # fmt: skip
ENGINES = [("vllm", 1), ("vllm", 2), ("sglang", 2), ("llama-cpp", 2), ("eugr-vllm", 1), ("eugr-vllm", 2)]
HOST_SLOTS = ("home", "hf_cache", "app_cache", "interface", "address")

BUILDERS: dict[str, Callable[[str], object]] = {
    "write-file path": lambda p: [(write_script(p, 0o600), b"x")],
    "write-file at home": lambda p: [(write_script(f"~/{p}", 0o600), b"x")],
    "cache-list folder": lambda p: _cache(folder=f"/{p}"),
    "cache-list at home": lambda p: _cache(folder=f"~/{p}"),
    "cache-list repo": lambda p: _cache(repo=p),
    "cache-list revision": lambda p: _cache(revision=p),
    "present commit": lambda p: _present(model(commit=p)),
    "present ref": lambda p: _present(model(ref=p)),
    "present repo": lambda p: _present(model(repo=p)),
    "present file": lambda p: _present(model(files=(ModelFile(p, 2, True),))),
    "present folder": lambda p: _present(model(), f"/{p}"),
    "relay address": lambda p: [(relay.reach_script(p, "boot"), b"")],
    "relay boot": lambda p: [(relay.reach_script("10.0.0.2", p), b"")],
    "relay hub": lambda p: _send(model(), hub=f"/{p}"),
    "relay target": lambda p: _send(model(), target=f"/{p}"),
    "relay target at home": lambda p: _send(model(), target=f"~/{p}"),
    "relay send address": lambda p: _send(model(), address=p),
    "relay file": lambda p: _send(model(files=(ModelFile(p, 2, True),))),
    "relay commit": lambda p: _send(model(commit=p)),
    "relay ref": lambda p: _send(model(ref=p)),
    "job root": lambda p: _job("k/1", f"~/{p}"),
    "job key": lambda p: _job(p, "~/jobs"),
    "job variable": lambda p: _job("k/2", "~/jobs", p),
    "guard folder": lambda p: _guard(folder=p),
    "guard container": lambda p: _guard(container=p),
    "guard kernel files": lambda p: _guard(proc=f"/{p}"),
    "probe path": lambda p: [(probe_script([p, f"~/{p}"]), b"")],
    "start hook title": lambda p: [(start_script(before=[Hook(p, "true", about=p)]), b"")],
    "start hook command": lambda p: [(hook_script([Hook("t", "true", about=p), Hook(p, "true")]), b"")],
    "secret": lambda p: [(secret_file({"A": Secret(p)}), b"")],
    "secret name": lambda p: [(secret_file({p: Secret("x")}), b"")],
    "exec title": lambda p: _texts(exec_files(0, ContainerExec(0, p, "true"), _spec())),
    "exec command name": lambda p: [(exec_command(p, ContainerExec(0, "t", "true")), b"")],
    "send folder": lambda p: [(send_command("h", f"~/{p}", _bundle("f")), b"")],
    "send file": lambda p: [(send_command("h", "~/x", _bundle(p)), b"")],
    "send host": lambda p: [(send_command(p, "~/x", _bundle("f")), b"")],
    "copy name": lambda p: _copied(_spec(name=p, before=(Hook("t", "true", _bundle("f")),))),
    "copy file": lambda p: _copied(_spec(before=(Hook("t", "true", _bundle(p)),))),
    **{
        f"docker run {key}": (lambda p, key=key, make=make: [(run_command(_spec(**{key: make(p)})), b"")])
        for key, make in {
            "name": lambda p: p, "image": lambda p: p, "labels": lambda p: {"l": p}, "env": lambda p: {"E": p},
            "secret_env": lambda p: {p: Secret("x")}, "devices": lambda p: (p,), "cap_add": lambda p: (p,),
            "network": lambda p: p, "ipc": lambda p: p, "user": lambda p: p, "entrypoint": lambda p: (p, p),
            "ulimits": lambda p: {p: 1}, "mounts": lambda p: (Mount(p, p, options=p), Mount(f"~/{p}", "/t")),
            "before": lambda p: (Hook("t", p),), "script": lambda p: p,
        }.items()
    },
    **{
        f"{runtime} on {count}, {slot}": (lambda p, s=slot, r=runtime, c=count: _hosts(p, s, r, c))
        for runtime, count in ENGINES
        for slot in HOST_SLOTS
    },
    **{f"gguf in {command}": (lambda p, c=command: _gguf(p, c)) for command in LLAMA},
}  # fmt: skip


def _texts(archive: bytes) -> list[Script]:
    """The scripts in a tar."""
    import io
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = (tar.extractfile(member) for member in tar.getmembers() if member.isfile())
        return [(file.read().decode(), b"") for file in files if file is not None]


def cases() -> Iterator[tuple[str, str]]:
    """Builders and payloads: all pairs, or in a short run one payload each, another for each builder."""
    for number, name in enumerate(BUILDERS):
        chosen = PAYLOADS if LONG else (PAYLOADS[number * 7 % 40],)
        for payload in chosen:
            yield name, payload


def _harmless(script: str) -> str:
    """The script without what would end the shell before all of it has run, or wait for what never comes."""
    text = script.replace("set -eu\n", "").replace("set -e\n", "").replace("    exit 1\n", "    false\n")
    return text.replace("until bash -c", "if bash -c").replace("; do sleep 1; done", "; then :; fi")


async def test_no_value_of_a_script_is_ever_run(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    scripts = refused = 0
    wrong: list[str] = []
    for name, payload in cases():
        made: object = None
        try:
            made = BUILDERS[name](payload)
            if not isinstance(made, list):
                made = await made  # type: ignore[misc]
        except (SparkrunError, ValueError):
            refused += 1
            continue
        assert isinstance(made, list) and made
        for script, stdin in made:
            if "canary" not in script and b"canary" not in stdin:
                continue  # The value is not in it.
            ran = sandbox.run(_harmless(script), stdin)
            scripts += 1
            if ran.canary or ran.unbalanced:
                wrong.append(f"{name} with {payload!r}: ran {ran.canary}, unbalanced {ran.unbalanced}\n{script}")
    print(f"{len(list(cases()))} cases, {refused} refused, {scripts} scripts in two shells, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong[:5])


def test_the_sandbox_tells_when_a_payload_runs(tmp_path: Path) -> None:
    """The net has no hole: unquoted, in double quotes and over ssh most payloads run or break the script."""
    sandbox = Sandbox(tmp_path)
    for form, least in (("echo {}", 20), ('echo "{}"', 5), ("ssh -o B=y h echo '{}'", 3)):
        seen = [sandbox.run(form.format(payload)) for payload in PAYLOADS]
        assert sum(ran.canary or ran.unbalanced for ran in seen) >= least, form


def test_the_sandbox_writes_nowhere_else(tmp_path: Path) -> None:
    """Also for root, who could make the folders of hosts on this machine."""
    sandbox, other = Sandbox(tmp_path / "box"), tmp_path / "other"
    sandbox.run(f"mkdir -p ~/made {other}/made; mkdir -p -- {other}; touch {other}; mkdir made-here; rm -rf {tmp_path}")
    assert not other.exists()
    assert not (sandbox.home / "made").exists()
    assert (sandbox.home / "made-here").is_dir()
    assert sandbox.run("echo said >/proc/1/fd/1 2>/proc/1/fd/2").output == ""
    assert "/proc/1" not in (tmp_path / "box" / "script.sh").read_text()


async def test_a_variable_of_a_job_reaches_it_whole(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    value = "a\nSPARKRUN_RUN\ncanary\n'b'"
    recorder = Recorder()
    await Jobs(recorder, "~/jobs").start("one", 'printf %s "$IMAGE"\n', {"IMAGE": value})  # type: ignore[arg-type]
    ((script, stdin),) = recorder.scripts
    assert not sandbox.run(script, stdin, shells=["sh"]).canary
    assert (sandbox.home / "jobs/one/out").read_text() == value
    with pytest.raises(ValueError, match="not a name"):
        await Jobs(recorder).start("two", "true", {"A;canary": "x"})  # type: ignore[arg-type]
