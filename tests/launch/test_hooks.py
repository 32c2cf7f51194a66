"""What a recipe runs besides its engine: before it in every container, after it in the head's and on its host."""

from __future__ import annotations

import asyncio
import re

from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.plan import dry_run as dryrun
from sparkrun_tui.launch.record.events import LaunchStatus, Noticed, StepState
from sparkrun_tui.launch.run.post_hooks import TIME_LIMIT
from sparkrun_tui.remote.transport import Outcome, Result
from tests.launch.fakes import SGLANG_TWO, SOLO, FakeCluster, FakeContainer, FakeHost, rendered
from tests.launch.fakes.transport import without_variables
from tests.launch.virtual import virtual_time

BEFORE = "pre_exec: ['pip install x', 'test -e /ready']\n"
EUGR = SOLO.replace("runtime: vllm", "runtime: eugr-vllm")
AFTER = "post_exec: ['warm {model}', 'warm again']\npost_commands: ['notify {base_url}']\n"


def notices(notes: tuple[Noticed, ...], level: str) -> list[str]:
    return [note.text for note in notes if note.level == level]


@virtual_time
async def test_all_hooks_run_in_order_before_it_is_ready(cluster: FakeCluster) -> None:
    seen: list[tuple[str, int]] = []

    async def warm(host: FakeHost, container: FakeContainer) -> int:
        seen.append((host.name, len(cluster.http.calls)))
        assert launch.state.status is LaunchStatus.STARTING
        host.say(container, "warmed")
        await asyncio.sleep(2)
        return 0

    cluster.after_program = warm
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(SGLANG_TWO + BEFORE + AFTER), cluster.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert [name for name, _ in seen] == ["spark-1", "spark-1"] and all(calls >= 3 for _, calls in seen)
    assert cluster.ran == ["spark-1: notify http://10.0.0.1:30000/v1"]
    assert notices(state.notices, "warning") == []
    notes = notices(state.notices, "note")
    assert any("warm org/tiny" in text for text in notes) and any("notify http" in text for text in notes)
    texts = [line.text for line in launch.logs["spark-1"].since(0)]
    assert texts.count("warmed") == 2 and "done here" in texts
    for host in cluster.hosts.values():
        (container,) = host.containers.values()
        assert without_variables(container.files["/run/sparkrun/before-1.sh"]) == "pip install x"
        start = container.files["/run/sparkrun/start.sh"]
        assert start.index("before-1.sh") < start.index("before-2.sh") < start.index("serve.sh")
    await launch.stop()
    assert cluster.remaining == []


@virtual_time
async def test_what_is_done_is_what_the_dry_run_shows(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(SOLO + BEFORE + AFTER), cluster.cluster)
    shown = "\n".join(dryrun.lines(plan))
    assert "# step 7 post_exec: warm org/tiny; warm again (spark-1)" in shown
    assert "# step 8 post_commands: notify http://spark-1:8000/v1 (spark-1)" in shown
    assert "Start vLLM, pre_exec first" in shown
    commands = [command for step in plan.steps for command in step.commands]
    (run,) = [command.text for command in commands if command.text.startswith("docker run")]
    begin = r"bash -c '.{0,9}export .*\n"
    ends = r".* \|\| exit\n"
    assert re.search(f"{begin}pip install x{ends}{begin}test -e /ready{ends}vllm serve", run)
    execs = [command.text for command in commands if command.text.startswith("docker exec")]
    local = [command.text for step in plan.steps[-1:] for command in step.commands if command.host == "spark-1"]
    launch = launcher.launch(plan)
    await launch.wait_ready()
    done = [action for action in cluster[1].actions if action.startswith("exec")]
    assert done == [f"exec bash /run/sparkrun/exec-after-{number}.sh" for number in (1, 2)]
    (container,) = cluster[1].containers.values()
    for number, text in enumerate(execs, 1):
        script = container.files[f"/run/sparkrun/exec-after-{number}.serve.sh"].strip()
        assert without_variables(script) in text
        assert "SPARKRUN_NODE_RANK=0 SPARKRUN_NODE_HOST=spark-1" in script and "SPARKRUN_NODE_RANK=0" in text
    shown_local = [without_variables(text) for text in local]
    assert [f"spark-1: {text.replace('spark-1', '10.0.0.1')}" for text in shown_local] == cluster.ran
    await launch.stop()


@virtual_time
async def test_a_failing_first_command_fails_the_launch_with_its_line(cluster: FakeCluster) -> None:
    async def fail(host: FakeHost, container: FakeContainer) -> int:
        host.say(container, "sparkrun-tui: pre_exec 1 of 2 (test.yaml:8): pip install x")
        host.say(container, "ERROR: Could not find a version of x", "stderr")
        host.say(container, "sparkrun-tui: pre_exec 1 of 2 (test.yaml:8) ended with exit code 3", "stderr")
        return 3

    cluster[2].program = fail
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(SGLANG_TWO + BEFORE), cluster.cluster))
    state = await launch.wait_ready()
    await launch.wait_ended()
    assert launch.state.status is LaunchStatus.FAILED
    found = launch.state.diagnosis or state.diagnosis
    assert found is not None and found.host == "spark-2"
    assert "pre_exec 1 of 2 (test.yaml:8)" in found.explanation and "exit code 3" in found.explanation
    assert "Could not find a version of x" in found.explanation
    assert found.evidence.endswith("ended with exit code 3")
    assert cluster.remaining == []


@virtual_time
async def test_a_failing_last_command_is_a_warning_and_those_after_it_are_left_out(cluster: FakeCluster) -> None:
    async def fail(host: FakeHost, container: FakeContainer) -> int:
        return 5

    cluster.after_program = fail
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(SOLO + AFTER), cluster.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert state.hosts["spark-1"].cells[Phase.READY].state is StepState.OK
    first, rest = notices(state.notices, "warning")
    assert "post_exec 1 of 2" in first and "exit code 5" in first
    assert "post_exec 2 of 2" in rest and "post_commands" in rest
    assert cluster.ran == []
    await launch.stop()


@virtual_time
async def test_a_command_of_the_head_host_that_fails_is_a_warning(cluster: FakeCluster) -> None:
    command = "notify http://10.0.0.1:8000/v1"
    cluster.results[command] = Result(Outcome.EXITED, 127, "", "notify: not found\n")
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(SOLO + AFTER), cluster.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    (text,) = notices(state.notices, "warning")
    assert "post_commands" in text and "exit code 127" in text
    assert "notify: not found" in [line.text for line in launch.logs["spark-1"].since(0)]
    await launch.stop()


@virtual_time
async def test_a_command_that_does_not_end_does_not_hold_the_launch_up_for_ever(cluster: FakeCluster) -> None:
    async def hang(host: FakeHost, container: FakeContainer) -> int:
        await asyncio.sleep(10 * TIME_LIMIT)
        return 0

    cluster.after_program = hang
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(SOLO + AFTER), cluster.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert any("did not end within 1:00:00" in text for text in notices(state.notices, "warning"))
    await launch.stop()


@virtual_time
async def test_a_lost_link_asks_again_and_runs_nothing_twice(cluster: FakeCluster) -> None:
    cluster[1].lose_during["exec"] = 1
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(SOLO + "post_exec: [warm]\n"), cluster.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert [action for action in cluster[1].actions if action.startswith("exec")] == [
        "exec bash /run/sparkrun/exec-after-1.sh"
    ]
    assert state.hosts["spark-1"].cells[Phase.READY].state is StepState.OK
    assert notices(state.notices, "warning") == []
    await launch.stop()


@virtual_time
async def test_an_engine_that_ends_meanwhile_is_a_failure(cluster: FakeCluster) -> None:
    async def crash(host: FakeHost, container: FakeContainer) -> int:
        host.end(container, 1)
        return 0

    cluster.after_program = crash
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(SOLO + "post_exec: [crash it]\n"), cluster.cluster))
    await launch.wait_ready()
    await launch.wait_ended()
    assert launch.state.status is LaunchStatus.FAILED
    assert cluster.remaining == []


@virtual_time
async def test_the_head_of_a_delegated_launch_runs_them_too(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(EUGR + BEFORE + "post_exec: ['warm {container_name}']\n"), cluster.cluster)

    async def scripts() -> None:
        docker = cluster.services.docker(cluster.services.connector("spark-1"))
        labels = {"io.sparkrun-tui.port": "8000", "io.sparkrun-tui.rank": "0", "io.sparkrun-tui.served": "tiny"}
        await docker.start(await docker.create(plan.serve.delegated, {"Image": "i", "Labels": labels}))
        cluster.processes = "sleep infinity python3 /usr/bin/vllm serve org/tiny "

    cluster.on_script = scripts
    launch = launcher.launch(plan)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.diagnosis or state.detail
    assert any(action.endswith("-before/run.sh") for action in cluster[1].actions if action.startswith("write"))
    assert "exec bash /run/sparkrun/exec-after-1.sh" in cluster[1].actions
    (container,) = cluster[1].containers.values()
    served = container.files["/run/sparkrun/exec-after-1.serve.sh"]
    assert without_variables(served) == f"warm {plan.serve.delegated}\n"
    assert notices(state.notices, "warning") == []
    await launch.stop()
