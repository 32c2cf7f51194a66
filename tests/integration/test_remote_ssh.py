"""The SSH layer against real sshd: commands, trust, faults, and what is left on the host afterwards."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, Host, HostSpec
from cluster.generations import Generation, on, on_both
from cluster.workstation import Workstation

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.docker.client import DockerClient
from sparkrun_tui.remote.failures import NeedsUser
from sparkrun_tui.remote.probe.ask import probe
from sparkrun_tui.remote.script.jobs import Jobs
from sparkrun_tui.remote.ssh.host_key_policy import YES, HostKeyQuestion, PassphraseQuestion
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.transport import LinkState, Outcome
from tests.support.site import until


def output(*words: str) -> str:
    """What a command on the workstation prints."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@on_both
async def test_a_probe_tells_what_the_host_is(pool: SshPool, hosts: list[Host]) -> None:
    facts = await probe(pool.transport(hosts[0].name), ["~/.cache/huggingface", "/tmp"], [22])
    assert facts.hostname == hosts[0].name
    assert (facts.memory_total, facts.memory_available) == (125_513_124 * 1024, 118_201_344 * 1024)
    assert [(gpu.name, gpu.memory_total) for gpu in facts.gpus] == [("NVIDIA GB10", None)]
    assert (facts.driver, facts.cuda) == ("580.95.05", "13.0")
    assert (facts.docker_access, facts.gpu_runtime) == ("ok", True)
    assert (facts.default_interface, facts.default_address) == ("eth0", hosts[0].ip)
    assert facts.hf_cache == "/root/.cache/huggingface"
    assert facts.clock_skew is not None
    assert abs(facts.clock_skew) < 5
    assert 22 in facts.used_ports
    assert {"rsync", "setsid", "git"} <= facts.tools
    for path in ("~/.cache/huggingface", "/tmp", facts.docker_root):
        disk = facts.disk_for(path)
        assert disk is not None
        assert 0 < disk.free <= disk.total


@on_both
async def test_cancelled_commands_leave_no_process_for_root_or_others(pool: SshPool, hosts: list[Host]) -> None:
    for name in (hosts[0].name, f"spark@{hosts[0].name}"):
        transport = pool.transport(name)
        await transport.connect()
        task = asyncio.create_task(transport.run("exec sleep 12345"))
        await until(lambda: "sleep 12345" in hosts[0].run("ps -eo args"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: "sleep 12345" not in hosts[0].run("ps -eo args"), 8)
        result = await transport.run("sleep 12346", timeout=1)
        assert result.outcome is Outcome.TIMED_OUT
        await until(lambda: "sleep 12346" not in hosts[0].run("ps -eo args"), 8)


@on_both
async def test_two_hundred_commands_through_ten_sessions(pool: SshPool, hosts: list[Host]) -> None:
    transport = pool.transport(hosts[0].name)
    results = await asyncio.gather(*(transport.run(f"echo {number}") for number in range(200)))
    assert [result.stdout for result in results] == [f"{number}\n" for number in range(200)]


@on_both
async def test_killed_sessions_are_lost_never_done(pool: SshPool, hosts: list[Host]) -> None:
    transport = pool.transport(hosts[0].name)
    running = [asyncio.create_task(transport.run("sleep 30; echo done")) for _ in range(3)]
    await until(lambda: hosts[0].run("ps -eo args").count("sleep 30") == 3)
    hosts[0].faults.kill_sessions()
    assert [(await task).outcome for task in running] == [Outcome.LOST] * 3
    assert (await transport.run("echo back")).stdout == "back\n"
    await until(lambda: "sleep 30" not in hosts[0].run("ps -eo args"), 8)


@on_both
async def test_a_pulled_cable_is_noticed_and_survived(pool: SshPool, hosts: list[Host]) -> None:
    transport = pool.transport(hosts[0].name)
    await transport.connect()
    hosts[0].faults.link_down()
    task = asyncio.create_task(transport.run("echo never", timeout=60))
    await until(lambda: transport.link.state is LinkState.RECONNECTING, 30)
    assert (await task).outcome is Outcome.LOST
    hosts[0].faults.link_up()
    await until(lambda: transport.link.state is LinkState.UP, 30)
    assert (await transport.run("echo back")).stdout == "back\n"


@on_both
async def test_a_job_runs_on_through_killed_sessions_byte_for_byte(pool: SshPool, hosts: list[Host]) -> None:
    jobs = Jobs(pool.transport(hosts[0].name))
    script = (
        'n=0; while [ $n -lt 3000 ]; do n=$((n+1)); echo "line $n"; [ $((n % 100)) = 0 ] && sleep 0.3; done; exit 7'
    )
    await jobs.start("t/job", script)
    received = b""
    kills = 0
    async for data in jobs.follow("t/job"):
        received += data
        if kills < 5 and len(received) > kills * 4000:
            kills += 1
            hosts[0].faults.kill_sessions()
    assert received == b"".join(b"line %d\n" % number for number in range(1, 3001))
    assert (await jobs.wait("t/job")).code == 7
    assert kills == 5


async def test_an_unknown_host_is_asked_about_and_remembered(
    workstation: Workstation, hosts: list[Host], cluster: Cluster
) -> None:
    workstation.known_hosts.unlink()
    asked: list[HostKeyQuestion | PassphraseQuestion] = []

    async def answer(question: HostKeyQuestion | PassphraseQuestion) -> str | None:
        asked.append(question)
        return YES if len(asked) > 1 else None

    pool = SshPool(ask=answer)
    transport = pool.transport(hosts[0].name)
    with pytest.raises(NeedsUser, match="is not known"):
        await transport.connect()
    assert transport.link.state is LinkState.NEEDS_USER
    await transport.connect()
    (question, _) = asked
    assert isinstance(question, HostKeyQuestion)
    assert question.address == hosts[0].ip
    assert question.fingerprint in output("ssh-keygen", "-lf", str(cluster.known_hosts))
    await pool.close()
    again = SshPool()
    assert (await again.transport(hosts[0].name).run("echo known")).stdout == "known\n"
    await again.close()


async def test_a_changed_key_is_refused_without_a_question(workstation: Workstation, hosts: list[Host]) -> None:
    lines = workstation.known_hosts.read_text()
    keys = {line.split()[0].split(",")[0]: line.split()[1:3] for line in lines.splitlines()}
    other = keys[hosts[1].name] if hosts[1].name in keys else list(keys.values())[-1]
    workstation.known_hosts.write_text(f"{hosts[0].ip} {' '.join(other)}\n")

    async def answer(_question: object) -> str | None:
        raise AssertionError("nobody may be asked")

    pool = SshPool(ask=answer)
    with pytest.raises(NeedsUser, match="HAS CHANGED") as caught:
        await pool.transport(hosts[0].name).connect()
    assert f"ssh-keygen -f {workstation.known_hosts} -R {hosts[0].ip}" in caught.value.remedy
    await pool.close()


@on(Generation.OWN, Generation.MIXED)
async def test_through_a_jump_host(workstation: Workstation, hosts: list[Host]) -> None:
    with workstation.ssh_config.open("r+") as file:
        rest = file.read()
        file.seek(0)
        file.write(f"Host far\n    HostName {hosts[1].ip}\n    ProxyJump {hosts[0].name}\n    User root\n")
        file.write(f"    IdentityFile {workstation.cluster.key}\n    UserKnownHostsFile {workstation.known_hosts}\n")
        file.write(rest)
    pool = SshPool()
    result = await pool.transport("far").run('hostname; echo "$SSH_CLIENT"')
    name, client, *_ = result.stdout.split()
    assert (name, client) == (hosts[1].name, hosts[0].ip)
    hosts[0].faults.kill_sessions()
    assert (await pool.transport("far").run("hostname")).stdout.strip() == hosts[1].name
    await pool.close()


async def test_a_host_that_is_off_and_a_user_that_is_refused(pool: SshPool, hosts: list[Host]) -> None:
    with pytest.raises(NeedsUser) as refused:
        await pool.transport(f"nobody@{hosts[0].name}").connect()
    assert "ssh-copy-id" in refused.value.remedy
    hosts[1].power_cut()
    with pytest.raises(HostError) as off:
        await pool.transport(hosts[1].name).connect()
    assert off.value.host == hosts[1].name
    assert off.value.remedy


async def test_a_frozen_host_is_given_up_in_time(pool: SshPool, hosts: list[Host]) -> None:
    hosts[0].faults.freeze()
    begun = asyncio.get_running_loop().time()
    with pytest.raises(HostError):
        await pool.transport(hosts[0].name).connect()
    assert asyncio.get_running_loop().time() - begun < 60


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A real ssh agent with twelve keys that open nothing."""
    socket = tmp_path / "agent.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    for number in range(12):
        key = tmp_path / f"other-{number}"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        for _ in range(100):
            if subprocess.run(["ssh-add", "-q", str(key)], check=False, stderr=subprocess.DEVNULL).returncode == 0:
                break
            time.sleep(0.02)
    yield socket
    process.terminate()
    process.wait()


def configure(workstation: Workstation, host: Host, *lines: str) -> None:
    """An ssh configuration with one host `spark` and these lines."""
    head = [f"Host spark\n    HostName {host.ip}", "User root", f"UserKnownHostsFile {workstation.known_hosts}"]
    workstation.ssh_config.write_text("\n    ".join([*head, *lines]) + "\n")


@on_both
@pytest.mark.usefixtures("agent")
async def test_named_keys_come_before_an_agent_full_of_others(
    workstation: Workstation, hosts: list[Host], cluster: Cluster
) -> None:
    configure(workstation, hosts[0], f"IdentityFile {cluster.key}")
    pool = SshPool()
    assert (await pool.transport("spark").run("echo in")).stdout == "in\n"
    await pool.close()


@on_both
@pytest.mark.usefixtures("agent")
async def test_a_right_key_behind_too_many_others_is_explained(
    workstation: Workstation, hosts: list[Host], cluster: Cluster
) -> None:
    output("ssh-add", "-q", str(cluster.key))
    configure(workstation, hosts[0], "IdentityFile /nowhere")
    pool = SshPool()
    with pytest.raises(NeedsUser, match="none of the first 6 of 13 keys") as caught:
        await pool.transport("spark").connect()
    assert "IdentitiesOnly yes" in caught.value.remedy
    await pool.close()


@pytest.mark.usefixtures("agent")
async def test_a_key_that_only_the_agent_holds_is_named_by_its_public_half(
    workstation: Workstation, hosts: list[Host], cluster: Cluster, tmp_path: Path
) -> None:
    output("ssh-add", "-q", str(cluster.key))
    (tmp_path / "mine.pub").write_text(output("ssh-keygen", "-y", "-f", str(cluster.key)))
    configure(workstation, hosts[0], f"IdentityFile {tmp_path}/mine", "IdentitiesOnly yes")
    pool = SshPool()
    assert (await pool.transport("spark").run("echo in")).stdout == "in\n"
    await pool.close()


async def test_noisy_and_odd_login_shells(pool: SshPool, hosts: list[Host]) -> None:
    hosts[0].run("printf 'echo noise; echo more >&2\\n' > /root/.bashrc; cp /root/.bashrc /root/.profile")
    result = await pool.transport(hosts[0].name).run("echo own; echo own >&2")
    assert (result.stdout, result.stderr) == ("own\n", "own\n")


async def test_a_server_with_one_session_serves_many_commands_and_streams(
    cluster: Cluster, workstation: Workstation
) -> None:
    host = cluster.add_host(HostSpec(max_sessions=1))
    workstation.know_hosts()
    pool = SshPool()
    try:
        transport = pool.transport(host.name)
        slow = asyncio.create_task(transport.run("sleep 3; echo slow"))
        results = await asyncio.gather(*(transport.run(f"echo {number}") for number in range(10)))
        assert [result.stdout for result in results] == [f"{number}\n" for number in range(10)]
        assert (await slow).stdout == "slow\n"
        # Forwarded sockets are no sessions: Docker is reached through as many as it likes.
        docker = DockerClient(transport)
        await asyncio.gather(*(docker.version() for _ in range(30)))
        await docker.close()
    finally:
        await pool.close()
        cluster.remove_host(host)


async def test_configurations_that_only_ssh_understands(
    workstation: Workstation, hosts: list[Host], cluster: Cluster
) -> None:
    included = workstation.ssh_config.parent / "more"
    included.write_text(
        f"""Host far near  # a comment at the end
    HostName {hosts[0].ip}
    ServerAliveInterval 30s
    ConnectTimeout none
    ControlMaster auto
    ControlPath ~/.ssh/%C
    StrictHostKeyChecking accept-new
    IdentityFile /nowhere/%h
    IdentityFile {cluster.key}
Match exec "test %n = near" host {hosts[0].ip}
    User spark
Match all
    User root
    UserKnownHostsFile "{workstation.home}/own known"
"""
    )
    workstation.ssh_config.write_text(f"Include {included}\n")
    pool = SshPool()
    for name, user in (("far", "root"), ("near", output("ssh", "-G", "near").split("user ")[1].split()[0])):
        assert (await pool.transport(name).run("id -un")).stdout.strip() == user
    await pool.close()
    assert hosts[0].ip in (workstation.home / ".config/sparkrun-tui/known_hosts").read_text()
