"""Launches through the scripts of eugr/spark-vllm-docker on real hosts, with a stand-in of those scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster import Host
from test_launch_faults import begin, launcher, ready, recipe, remaining, until

from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.run.launch import Launch

SCRIPTS = Path(__file__).with_name("standin_eugr")
ADDRESS = "https://github.com/eugr/spark-vllm-docker"


@pytest.fixture
def scripts(hosts: list[Host]) -> None:
    """The scripts' repository, in place of the real one, on the head; the head may log in to the worker."""
    head = hosts[0]
    folder = head.path("/root/upstream")
    folder.mkdir()
    (folder / "run-recipe.sh").write_text((SCRIPTS / "run-recipe.sh").read_text())
    (folder / "run-recipe.sh").chmod(0o755)
    commit = "git -C /root/upstream -c user.name=t -c user.email=t@localhost"
    head.run(f"git init -q /root/upstream && {commit} add . && {commit} commit -q -m scripts")
    head.run(f"git config --global url.file:///root/upstream.insteadOf {ADDRESS}")
    head.may_log_in_to_others()


def jobs(host: Host) -> str:
    """What is left of detached jobs and of the files they were given."""
    folders = "~/.cache/sparkrun-tui/jobs ~/.cache/sparkrun-tui/lock"
    return host.run(f"find {folders} -mindepth 1 2>/dev/null", check=False).strip()


def lines(launch: Launch, host: Host, beginning: str) -> list[str]:
    log = launch.logs.get(host.name)
    return [line.text for line in log.since(0) if line.text.startswith(beginning)] if log is not None else []


async def broken_during_the_script(launch: Launch, head: Host) -> None:
    await until(lambda: len(lines(launch, head, "Preparing")) >= 2)
    assert head.faults.kill_sessions() > 0


@pytest.mark.usefixtures("scripts")
async def test_two_hosts_served_by_the_scripts_though_the_link_broke(hosts: list[Host]) -> None:
    async with launcher() as at:
        launch = begin(at, hosts, recipe("tiny-eugr", tensor_parallel="2"))
        await broken_during_the_script(launch, hosts[0])
        await ready(launch)
        assert lines(launch, hosts[0], "Preparing") == [f"Preparing, step {step} of 6" for step in range(1, 7)]
        assert any("Loading weights took" in line.text for line in launch.logs[hosts[0].name].since(0))
        assert remaining(hosts) == [launch.plan.serve.delegated] * 2
        assert '"tiny"' in hosts[1].run(f"curl -fsS http://{hosts[0].ip}:8000/v1/models")
        state = await launch.stop()
        assert state.status is LaunchStatus.STOPPED
    assert remaining(hosts) == []
    assert jobs(hosts[0]) == ""


@pytest.mark.usefixtures("scripts")
async def test_giving_up_during_the_script_ends_it_on_the_host(hosts: list[Host]) -> None:
    async with launcher() as at:
        launch = begin(at, hosts[:1], recipe("tiny-eugr"))
        await broken_during_the_script(launch, hosts[0])
        launch.cancel()
        state = await launch.wait_ended()
        assert state.status is LaunchStatus.CANCELLED
    assert hosts[0].run("pgrep -f '[r]un-recipe'", check=False) == ""
    assert remaining(hosts) == []
    assert jobs(hosts[0]) == ""


@pytest.mark.usefixtures("scripts")
async def test_an_engine_that_dies_in_its_sleeping_container_is_noticed(hosts: list[Host]) -> None:
    async with launcher() as at:
        launch = begin(at, hosts[:1], recipe("tiny-eugr"))
        await ready(launch)
        hosts[0].run("pkill -9 -f '[v]llm serve'", check=False)
        state = await launch.wait_ended()
        assert state.status is LaunchStatus.FAILED
        assert "the engine has ended" in state.detail
    assert remaining(hosts) == []
