"""Ray in the image: asked once after the pull, gone without where nobody named it, stopped early where someone did."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from sparkrun_tui.engines.plan import ImageRay
from sparkrun_tui.launch.image_ray import answered, keep, knows_tokens
from sparkrun_tui.launch.plan.dry_run import lines
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.record.journal import launch_folder
from sparkrun_tui.launch.run.steps.start import RAY_STATUS
from sparkrun_tui.launch.sizing.evaluation import Target, evaluate
from sparkrun_tui.launch.sizing.measured_store import ImageFacts, learn_image
from sparkrun_tui.remote.docker.look import ask_words, body, read_answer
from sparkrun_tui.remote.docker.types import ImageProgram
from tests.launch.fakes import IMAGE, RAY_TWO, SOLO, FakeCluster, journal_text, rendered
from tests.launch.virtual import virtual_time

NONE = ImageProgram(False)
LITERAL = RAY_TWO.replace("-tp {tensor_parallel}", "-tp {tensor_parallel} --distributed-executor-backend ray")
VALUE = RAY_TWO.replace("tensor_parallel: 2", "tensor_parallel: 2, distributed_executor_backend: ray")
WORD = RAY_TWO.replace("runtime: vllm\n", "runtime: vllm-ray\n")
BY_HAND = RAY_TWO.replace("command: vllm", "command: ray start --head --port 6379 && vllm")
IN_BASH = RAY_TWO.replace("command: vllm", "command: bash -c 'nohup ray start --head & vllm") + "'\n"
IN_BASH = IN_BASH.replace("{served_model_name}\n'", "{served_model_name}'")
ASKING = {"flag": LITERAL, "value": VALUE, "runtime": WORD, "ray start": BY_HAND, "bash": IN_BASH}


def script(cluster: FakeCluster, number: int = 1) -> str:
    """The script of the container on a host."""
    container = next(iter(cluster[number].containers.values()))
    return container.files["/run/sparkrun/serve.sh"]


@pytest.mark.parametrize("text", [LITERAL, VALUE, WORD], ids=["flag", "value", "runtime"])
def test_what_is_shown_is_what_an_override_of_the_executor_will_run(text: str) -> None:
    found = evaluate(rendered(text).recipe, {"distributed_executor_backend": "mp"}, Target())
    assert "--distributed-executor-backend ray" not in found.command
    assert ("--distributed-executor-backend mp" in found.command) == (text == LITERAL)
    assert not [problem for problem in found.problems if "distributed_executor_backend" in problem.message]


@virtual_time
async def test_an_image_without_ray_is_served_without_it(cluster: FakeCluster) -> None:
    cluster.image_program = NONE
    launch = cluster.begin(RAY_TWO)
    assert any("If registry.test/engine:1 has no Ray" in note for note in launch.plan.serve.notes)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.detail
    assert "--nnodes 2 --node-rank 1" in script(cluster, 2)
    assert "ray" not in script(cluster, 1)
    assert any(
        notice.text == f"{IMAGE} has no Ray: the hosts connect without it (--nnodes)" for notice in state.notices
    )
    assert any("has no Ray: the hosts connect without it" in note for note in launch.plan.serve.notes)
    await launch.stop()


@virtual_time
async def test_each_image_is_asked_once(cluster: FakeCluster) -> None:
    cluster.image_program = NONE
    for _ in range(2):
        launch = cluster.begin(RAY_TWO)
        await launch.wait_ready()
        await launch.stop()
    assert cluster.looks == [f"spark-1: ray in {IMAGE}"]
    launcher = cluster.launcher()
    plan = await launcher.inspect(launcher.plan(rendered(RAY_TWO), cluster.cluster))
    assert any("has no Ray: the hosts connect without it" in note for note in plan.serve.notes)
    assert cluster.looks == [f"spark-1: ray in {IMAGE}"]


@pytest.mark.parametrize("text", ASKING.values(), ids=ASKING.keys())
@virtual_time
async def test_who_asks_for_ray_is_stopped_before_the_weights_move(cluster: FakeCluster, text: str) -> None:
    cluster.image_program = NONE
    for host in cluster.hosts.values():
        host.images.discard(IMAGE)
        host.models.clear()
    state = await cluster.begin(text).wait_ready()
    assert state.status is LaunchStatus.FAILED
    assert f"{IMAGE} has no Ray" in state.detail
    actions = [action for host in cluster.hosts.values() for action in host.actions]
    assert f"pull {IMAGE}" in actions
    assert not [action for action in actions if action.startswith(("ship", "create", "relay"))]
    assert state.diagnosis is not None
    repair = state.diagnosis.repairs[0]
    assert (repair.title, repair.key, repair.value) == ("Go without Ray", "distributed_executor_backend", "mp")


@pytest.mark.parametrize("text", ASKING.values(), ids=ASKING.keys())
@virtual_time
async def test_the_repair_goes_without_ray(cluster: FakeCluster, text: str) -> None:
    cluster.image_program = NONE
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(text, distributed_executor_backend="mp"), cluster.cluster)
    assert "unused-override" not in [problem.code for problem in plan.problems]
    launch = launcher.launch(plan)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.detail
    assert "--nnodes 2 --node-rank 0" in script(cluster)
    words = shlex.split(script(cluster))
    assert "ray" not in words
    assert cluster.looks == []
    await launch.stop()


@virtual_time
async def test_on_one_host_too_who_asks_for_ray_is_stopped(cluster: FakeCluster) -> None:
    cluster.image_program = NONE
    text = SOLO.replace("--port {port}", "--port {port} --distributed-executor-backend ray")
    assert (await cluster.begin(text).wait_ready()).status is LaunchStatus.FAILED
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(text, distributed_executor_backend="mp"), cluster.cluster))
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    assert "--distributed-executor-backend mp" in script(cluster)
    await launch.stop()


@virtual_time
async def test_a_hook_that_installs_ray_is_believed(cluster: FakeCluster) -> None:
    cluster.image_program = NONE
    launch = cluster.begin(LITERAL + "pre_exec: ['pip install \"ray[default]==2.49.0\"']\n")
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    assert "ray start --block --head" in script(cluster)
    await launch.stop()


@virtual_time
async def test_an_image_that_cannot_be_asked_goes_over_ray_as_before(cluster: FakeCluster) -> None:
    cluster.image_program = None
    launch = cluster.begin(RAY_TWO)
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    assert "ray start" in script(cluster)
    assert any("Ray has no password" in note for note in launch.plan.serve.notes)
    await launch.stop()


@virtual_time
async def test_the_engine_without_ray_needs_none(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    text = LITERAL.replace("runtime: vllm\n", "runtime: vllm-distributed\n")
    keep("spark-1", "sha256:1", NONE)
    learn_image(IMAGE, ImageFacts("sha256:1", ""))
    plan = launcher.plan(rendered(text), cluster.cluster)
    assert plan.ray.has is False
    assert "no-ray" not in [problem.code for problem in plan.problems]
    launch = launcher.launch(plan)
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    assert "--distributed-executor-backend mp" in script(cluster)
    await launch.stop()


@virtual_time
async def test_what_was_kept_of_an_earlier_image_of_that_name_does_not_count(cluster: FakeCluster) -> None:
    cluster.image_program = NONE
    await cluster.begin(LITERAL).wait_ended()
    learn_image(IMAGE, ImageFacts("sha256:1", ""))
    cluster.image_id = "sha256:2"
    cluster.image_program = ImageProgram(True, "2.49.0")
    launch = cluster.begin(LITERAL)
    assert "no-ray" in [problem.code for problem in launch.plan.problems]
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.detail
    assert len(cluster.looks) == 2
    await launch.stop()


@virtual_time
async def test_a_solo_launch_and_one_without_ray_do_not_ask(cluster: FakeCluster) -> None:
    for text in (SOLO, RAY_TWO.replace("runtime: vllm\n", "runtime: vllm-distributed\n")):
        launch = cluster.begin(text)
        assert (await launch.wait_ready()).status is LaunchStatus.READY
        await launch.stop()
    assert cluster.looks == []


@virtual_time
async def test_a_newer_ray_gets_a_password_of_its_own(cluster: FakeCluster) -> None:
    cluster.image_program = ImageProgram(True, "2.60.0")
    launch = cluster.begin(RAY_TWO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.detail
    token = launch.plan.ray.token
    assert token is not None and len(token.reveal()) > 30
    for host in cluster.hosts.values():
        container = next(iter(host.containers.values()))
        assert f"RAY_AUTH_TOKEN={token.reveal()}" in container.files["/run/sparkrun/env"]
        assert "RAY_AUTH_MODE=token" in container.body["Env"]
        assert token.reveal() not in repr(container.body)
        assert token.reveal() not in " ".join(host.actions)
    assert not any("Ray has no password" in note for note in launch.plan.serve.notes)
    assert token.reveal() not in "\n".join(lines(launch.plan))
    cluster[1].say(next(iter(cluster[1].containers.values())), f"engine says {token.reveal()}")
    await launch.stop()
    assert token.reveal() not in journal_text(launch_folder(launch.launch_id))
    other = cluster.begin(RAY_TWO)
    await other.wait_ready()
    assert other.plan.ray.token not in (None, token)
    await other.stop()


@virtual_time
async def test_a_recipe_with_a_ray_password_keeps_it(cluster: FakeCluster) -> None:
    cluster.image_program = ImageProgram(True, "2.60.0")
    launch = cluster.begin(RAY_TWO + "env: {RAY_AUTH_MODE: token, RAY_AUTH_TOKEN: its-own-token}\n")
    await launch.wait_ready()
    container = next(iter(cluster[1].containers.values()))
    assert "RAY_AUTH_TOKEN=its-own-token" in container.files["/run/sparkrun/env"]
    await launch.stop()


@pytest.mark.parametrize(
    ("version", "knows"),
    [("2.51.9", False), ("2.52.0", True), ("2.60.0", True), ("3.0.0", True), ("2.52.0rc1", True),
     ("", False), ("x.y", False)],
)  # fmt: skip
def test_which_ray_knows_passwords(version: str, knows: bool) -> None:
    assert knows_tokens(version) is knows
    assert (answered(ImageProgram(True, version)).token is not None) is knows


def test_what_is_not_known_stays_unknown() -> None:
    assert answered(None) == ImageRay()
    assert answered(NONE) == ImageRay(False)


def _look(folder: Path, program: str) -> ImageProgram | None:
    told = subprocess.run(
        ask_words(program), env={"PATH": f"{folder}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    return read_answer(told.stdout)


def test_the_look_reads_what_is_there(tmp_path: Path) -> None:
    assert _look(tmp_path, "ray") == NONE
    program, python = tmp_path / "ray", tmp_path / "its-python"
    program.write_text(f"#!{python}\n")
    program.chmod(0o755)
    python.write_text("#!/bin/sh\necho 2.60.0\n")
    python.chmod(0o755)
    assert _look(tmp_path, "ray") == ImageProgram(True, "2.60.0")
    python.write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").symlink_to(python)
    (tmp_path / "python").symlink_to(python)
    assert _look(tmp_path, "ray") == ImageProgram(True, "")
    assert read_answer("bash: not found") is None


def test_the_look_has_no_network_no_rights_and_no_gpu() -> None:
    made = body("a/b:1")
    host = made["HostConfig"]
    assert host["NetworkMode"] == "none" and host["AutoRemove"] and host["CapDrop"] == ["ALL"]
    assert host["ReadonlyRootfs"] and "DeviceRequests" not in host and "Binds" not in host


def test_ray_is_asked_with_the_password_of_its_processes(tmp_path: Path) -> None:
    place = tmp_path / "1"
    place.mkdir()
    (place / "environ").write_bytes(b"PATH=/bin\0RAY_AUTH_TOKEN=from-the-process\0")
    program = tmp_path / "ray"
    program.write_text('#!/bin/sh\necho "$RAY_AUTH_TOKEN $*"\n')
    program.chmod(0o755)
    text = RAY_STATUS.replace("/proc/[0-9]*", f"{tmp_path}/[0-9]*")
    told = subprocess.run(
        ["sh", "-c", text, "ray", "10.0.0.1:46379"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout == "from-the-process status --address 10.0.0.1:46379\n"
