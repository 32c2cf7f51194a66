"""The test cluster is what it says: each host on its own, real sshd and Docker, and every fault does what it claims."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Cluster, Host, HostSpec, cgroups, namespaces
from cluster.cluster import remove_orphans
from cluster.generations import on_both
from cluster.images import Images
from cluster.workstation import Workstation


def ssh(host: str, command: str, timeout: float = 20) -> subprocess.CompletedProcess[str]:
    """A command over ssh as a person would type it."""
    argv = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", host, command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)


@on_both
def test_hosts_are_reached_by_name_over_ssh(hosts: list[Host]) -> None:
    for host in hosts:
        done = ssh(host.name, "hostname; ip -4 -o addr show eth0; nvidia-smi -L; grep MemTotal /proc/meminfo")
        assert done.returncode == 0, done.stderr
        name, address, gpu, memory = done.stdout.splitlines()
        assert name == host.name
        assert host.ip in address
        assert "NVIDIA GB10" in gpu
        assert memory.split() == ["MemTotal:", "125513124", "kB"]


def test_ssh_resolves_as_a_person_configured_it(hosts: list[Host], cluster: Cluster, workstation: Workstation) -> None:
    done = subprocess.run(["ssh", "-G", hosts[1].name], capture_output=True, text=True, check=True)
    resolved = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert resolved["hostname"] == hosts[1].ip
    assert resolved["userknownhostsfile"] == str(workstation.known_hosts)
    assert resolved["identityfile"] == str(cluster.key)


@on_both
def test_an_ordinary_user_may_use_docker(hosts: list[Host]) -> None:
    done = ssh(f"spark@{hosts[0].name}", "id -un; docker version --format '{{.Server.Os}}'")
    assert done.stdout.split() == ["spark", "linux"], done.stderr


def test_hosts_see_each_other_and_not_the_internet(hosts: list[Host]) -> None:
    assert "10.78.0.12" in hosts[0].run("getent hosts spark-02")
    hosts[0].run("exec 3<>/dev/tcp/10.78.0.12/22")
    routes = subprocess.run(["ip", "-o", "route"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [route.split()[0] for route in routes] == ["10.78.0.0/24"]
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("203.0.113.1", 80), timeout=1)


@on_both
def test_an_image_is_pulled_by_its_plain_name_and_runs_as_engines_run(hosts: list[Host], all_images: Images) -> None:
    image = all_images.busybox.reference
    for host in hosts:
        host.docker("pull", image)
        options = ["--gpus", "all", "--network", "host", "--ipc", "host", "--shm-size", "10.24gb", "--privileged"]
        limits = ["--ulimit", "memlock=-1", "--ulimit", "stack=67108864"]
        shown = host.docker("run", *options, *limits, image, "sh", "-c", "nvidia-smi -L; ip -4 addr show eth0")
        assert "NVIDIA GB10" in shown
        assert host.ip in shown
    assert len(hosts[0].containers()) == 1


def test_rsync_goes_through_the_same_ssh(hosts: list[Host], workstation: Workstation) -> None:
    source = workstation.home / "some" / "file"
    source.parent.mkdir()
    source.write_bytes(bytes(100_000))
    subprocess.run(["rsync", "-a", f"{source.parent}/", f"{hosts[0].name}:/root/some"], check=True, timeout=30)
    assert hosts[0].run("wc -c </root/some/file").strip() == "100000"
    assert hosts[1].run("ls /root", check=True).strip() == ""


def test_nothing_of_an_earlier_test_is_left(hosts: list[Host], workstation: Workstation) -> None:
    for host in hosts:
        assert host.containers() == []
        assert host.run("find /root /home/spark /tmp -type f -not -path '*/.ssh/*'").strip() == ""
    assert [entry.name for entry in workstation.home.iterdir()] == [".ssh"]


def test_a_cable_can_be_pulled(hosts: list[Host]) -> None:
    hosts[1].faults.link_down()
    assert ssh(hosts[1].name, "true").returncode == 255
    assert hosts[1].run("hostname").strip() == hosts[1].name
    hosts[1].faults.link_up()
    assert ssh(hosts[1].name, "true").returncode == 0


@on_both
def test_sessions_can_be_killed(hosts: list[Host]) -> None:
    argv = ["ssh", "-o", "BatchMode=yes", hosts[0].name, "echo here; sleep 60"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == "here\n"
        assert hosts[0].faults.kill_sessions() == 1
        assert session.wait(timeout=10) == 255


@on_both
def test_dockerd_can_hang_and_die_while_containers_live(hosts: list[Host], all_images: Images) -> None:
    host = hosts[0]
    host.docker(
        "run",
        "--detach",
        "--init",
        "--network",
        "host",
        "--name",
        "sleeper",
        all_images.busybox.reference,
        "sleep",
        "600",
    )
    host.faults.dockerd_stop()
    assert not host.docker_answers(timeout=0.5)
    host.faults.dockerd_continue()
    assert host.docker_answers()
    host.faults.dockerd_kill()
    assert "sleep 600" in host.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    host.faults.dockerd_start()
    assert host.inspect("sleeper")["State"]["Status"] == "exited"


@on_both
def test_a_frozen_host_takes_packets_and_answers_nothing(hosts: list[Host]) -> None:
    hosts[1].faults.freeze()
    with socket.create_connection((hosts[1].ip, 22), timeout=2) as connection:
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(4)
    hosts[1].faults.thaw()
    assert ssh(hosts[1].name, "true").returncode == 0


@on_both
def test_a_power_cut_leaves_what_was_on_disk(hosts: list[Host], all_images: Images) -> None:
    host = hosts[1]
    host.docker(
        "run", "--detach", "--network", "host", "--name", "victim", all_images.busybox.reference, "sleep", "600"
    )
    boot = host.run("cat /proc/sys/kernel/random/boot_id")
    host.power_cut()
    assert ssh(host.name, "true").returncode == 255
    host.power_on()
    state = host.inspect("victim")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 255)
    assert host.run("cat /proc/sys/kernel/random/boot_id") != boot


def test_a_host_may_have_a_small_disk_and_no_gpu(cluster: Cluster, all_images: Images) -> None:
    host = cluster.add_host(HostSpec(disk="40m", gpu=False))
    with pytest.raises(RuntimeError, match="no space left on device"):
        host.docker("pull", f"10.78.0.1:5000/{all_images.llama.reference}")
    with pytest.raises(RuntimeError, match="could not select device driver"):
        host.docker("run", "--gpus", "all", all_images.busybox.reference, "true")
    assert not host.path("/usr/local/bin/nvidia-smi").exists()
    for folder in ("/srv", "/root/.cache/huggingface"):
        assert host.run(f"df -Pk {folder} | tail -n 1").split()[:2] == ["tmpfs", "40960"]
    cluster.remove_host(host)
    assert host not in cluster.hosts


def test_a_killed_run_leaves_no_process(tmp_path: Path) -> None:
    program = """
        import os, signal, sys
        from pathlib import Path
        from cluster import Cluster, HostSpec
        cluster = Cluster()
        cluster.add_host(HostSpec())
        print(os.getpid(), os.readlink(f"/proc/{cluster.init}/ns/net"), cluster.directory, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "TMPDIR": str(tmp_path)}
    argv = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    pid, network, directory = done.stdout.split()
    assert done.returncode == -9, done.stderr
    deadline = time.monotonic() + 10
    while any(namespaces.network_of(pid) == network for pid in namespaces.processes()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert directory not in Path("/proc/self/mountinfo").read_text()
    remove_orphans()
    assert f"{cgroups.PREFIX}{pid}" not in [top.name for top in cgroups.tops()]


def test_the_program_is_called_from_the_workstation(
    sparkrun: Callable[..., subprocess.CompletedProcess[str]], workstation: Workstation, recipes: Path
) -> None:
    done = sparkrun("--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    for path in sorted(recipes.glob("*.yaml")):
        checked = sparkrun("recipe", "validate", str(path))
        assert checked.returncode == 0, checked.stdout + checked.stderr
