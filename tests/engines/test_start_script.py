"""The start script in a real bash: secrets come in and vanish, exit codes pass through, SIGTERM reaches the engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.layout.common import secret_file, start_script

HEARD = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp('bash', sys.argv[1:])"


def start(folder: Path, serve: str, secrets: str | None = None) -> subprocess.Popen[str]:
    paths = {name: folder / name for name in ("start.sh", "serve.sh", "env")}
    paths["serve.sh"].write_text(serve)
    if secrets is not None:
        paths["env"].write_text(secrets)
    paths["start.sh"].write_text(start_script(str(paths["serve.sh"]), str(paths["env"])))
    # What a shell runs in the background ignores SIGINT, and bash cannot trap a signal that was ignored before it.
    command = [sys.executable, "-c", HEARD, "bash", str(paths["start.sh"])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.parametrize("value", ["plain", "it's", 'a "b" $HOME `id` \\', "ends with \\"])
def test_secrets_reach_the_engine_and_the_file_is_gone(tmp_path: Path, value: str) -> None:
    secrets = secret_file({"HF_TOKEN": Secret(value)})
    out, _ = start(tmp_path, "bash -c 'printf %s \"$HF_TOKEN\"'", secrets).communicate(timeout=20)
    assert out == value
    assert not (tmp_path / "env").exists()


def test_without_secrets_it_just_runs(tmp_path: Path) -> None:
    out, _ = start(tmp_path, "echo 'a \"b\"' $((1 + 1))").communicate(timeout=20)
    assert out == 'a "b" 2\n'


def test_what_the_image_asks_every_shell_to_read_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NVIDIA's images switch on CUDA's forward compatibility in the file that `BASH_ENV` names.

    They do so in their entrypoint as well (nvcr.io/nvidia/vllm 26.08: `/opt/nvidia/nvidia_entrypoint.sh`), which a
    launch replaces by its own. Without either, PTX for a CUDA newer than the driver's is refused.
    """
    read = tmp_path / "bash.bashrc"
    read.write_text("export LD_LIBRARY_PATH=/usr/local/cuda/compat/lib.real\n")
    monkeypatch.setenv("BASH_ENV", str(read))
    out, _ = start(tmp_path, "env -u BASH_ENV sh -c 'printf %s \"$LD_LIBRARY_PATH\"'").communicate(timeout=20)
    assert out == "/usr/local/cuda/compat/lib.real"


@pytest.mark.parametrize(("serve", "code"), [("(exit 3)", 3), ("exit 4", 4), ("set -e\nfalse\ntrue", 1), ("true", 0)])
def test_the_exit_code_is_the_engines(tmp_path: Path, serve: str, code: int) -> None:
    assert start(tmp_path, serve).wait(timeout=20) == code


def test_on_sigterm_the_engine_ends_in_its_own_time(tmp_path: Path) -> None:
    engine = "bash -c 'trap \"echo bye; exit 5\" TERM; echo up; while :; do sleep 0.05; done'"
    process = start(tmp_path, engine)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    os.killpg(process.pid, signal.SIGTERM)
    assert process.stdout.read() == "bye\n"
    assert process.wait(timeout=20) == 5


# --- as the first program of a container -------------------------------------------------------------------------

NAMESPACE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]
NO_NAMESPACES = subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode != 0
in_a_container = pytest.mark.skipif(NO_NAMESPACES, reason="this machine lets its users make no namespaces")


def run_in_container(folder: Path, serve: str) -> int:
    """The exit code of the start script as the child of process 1 in a namespace of its own, which ends with it."""
    start(folder, "true").wait(timeout=20)
    (folder / "serve.sh").write_text(serve)
    words = [*NAMESPACE, "sh", "-c", 'bash "$1"; exit $?', "init", str(folder / "start.sh")]
    return subprocess.run(words, cwd=folder, timeout=60, check=False).returncode


@in_a_container
@pytest.mark.parametrize("last", ["(exit 3)", "exit 3", "exec bash -c 'exit 3'"])
def test_what_cleans_up_after_the_engine_is_waited_for(tmp_path: Path, last: str) -> None:
    """As Python's resource tracker does: it ignores SIGTERM, and starts once the engine is gone."""
    tracker = "trap '' TERM; touch up; while [ -e running ]; do sleep 0.05; done; sleep 0.5; touch cleaned"
    serve = f'touch running\nsetsid bash -c "{tracker}" &\nuntil [ -e up ]; do sleep 0.05; done\nrm running\n{last}\n'
    assert run_in_container(tmp_path, serve) == 3
    assert (tmp_path / "cleaned").exists()


@in_a_container
def test_what_was_started_beside_the_engine_is_asked_to_end(tmp_path: Path) -> None:
    """As an engine is that runs beside Ray, in a session of its own, which no signal of Docker reaches."""
    beside = "trap 'touch asked; exit' TERM; touch up; while :; do sleep 0.05; done"
    serve = f'setsid bash -c "{beside}" &\nuntil [ -e up ]; do sleep 0.05; done\n'
    assert run_in_container(tmp_path, serve) == 0
    assert (tmp_path / "asked").exists()


@in_a_container
def test_what_does_not_end_is_not_waited_for(tmp_path: Path) -> None:
    serve = "setsid bash -c \"trap '' TERM; touch up; while :; do sleep 0.05; done; touch after\" &\n"
    assert run_in_container(tmp_path, serve + "until [ -e up ]; do sleep 0.05; done\nfalse\n") == 1


def test_processes_outside_of_a_container_are_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        assert start(tmp_path, "exit 4").wait(timeout=20) == 4
        assert other.poll() is None
        other.kill()


def test_sigint_reaches_the_engine(tmp_path: Path) -> None:
    """The signal with which some images are stopped."""
    engine = "bash -c 'trap \"echo bye; exit 5\" INT; echo up; while :; do sleep 0.05; done'"
    process = start(tmp_path, engine)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout.read() == "bye\n"
    assert process.wait(timeout=20) == 5


def test_the_engine_reads_what_the_container_is_given(tmp_path: Path) -> None:
    start(tmp_path, "true").wait(timeout=20)
    (tmp_path / "serve.sh").write_text("cat\n")
    done = subprocess.run(
        ["bash", str(tmp_path / "start.sh")], input="a line", capture_output=True, text=True, check=True
    )
    assert done.stdout == "a line"


HOLDER = """\
import os, sys, time
from multiprocessing import resource_tracker, shared_memory
held = shared_memory.SharedMemory(create=True, size=4096)
resource_tracker.unregister(held._name, "shared_memory")
open("name", "w").write(held.name)
time.sleep(60)
"""


@in_a_container
def test_shared_memory_that_nobody_removes_is_removed(tmp_path: Path) -> None:
    """As of workers that Ray kills together with Python's resource tracker."""
    (tmp_path / "holder.py").write_text(HOLDER)
    serve = f"setsid {sys.executable} holder.py &\nuntil [ -s name ]; do sleep 0.05; done\n"
    assert run_in_container(tmp_path, serve) == 0
    name = (tmp_path / "name").read_text()
    assert name.startswith("psm_")
    assert not Path("/dev/shm", name).exists()
