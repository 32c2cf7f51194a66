"""Hosts of Debian 13: they are what they say, with containerd's image store or Podman in Docker's place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, Daemon, Host, HostSpec
from cluster.workstation import Workstation
from test_cli_vllm import Run
from test_launch_faults import begin, launcher, recipe
from test_launch_refusals import untouched

from sparkrun_tui.launch.record.events import LaunchStatus


def test_the_newer_hosts_have_other_programs_than_this_machine_may_have(newer_hosts: list[Host]) -> None:
    for host in newer_hosts:
        assert host.run("cat /etc/debian_version").startswith("13.")
        assert host.run("/usr/sbin/sshd -V 2>&1").startswith("OpenSSH_10.")
        assert host.docker("version", "--format", "{{.Server.Version}}").startswith("26.")
        status = host.docker("info", "--format", "{{.Driver}} {{.DriverStatus}}")
        assert "overlayfs" in status and "io.containerd.snapshotter.v1" in status


def test_what_a_newer_host_writes_stays_its_own(newer_hosts: list[Host], newer_root: Path) -> None:
    first, second = newer_hosts
    first.run("echo mine >/opt/mine")
    assert first.path("/opt/mine").read_text() == "mine\n"
    assert not second.path("/opt/mine").exists() and not (newer_root / "opt/mine").exists()
    assert not Path("/opt/mine").exists()


@pytest.fixture
def podman(cluster: Cluster, workstation: Workstation, newer_root: Path) -> Iterator[Host]:
    """A host whose Docker socket is Podman's."""
    host = cluster.add_host(HostSpec(root=newer_root, daemon=Daemon.PODMAN))
    workstation.know_hosts()
    yield host
    cluster.remove_host(host)


def test_podman_in_dockers_place_is_named(podman: Host, sparkrun: Run) -> None:
    assert sparkrun("cluster", "add", "lab", podman.name).returncode == 0
    checked = sparkrun("cluster", "check")
    assert "Podman answers in Docker's place, with which no launch has been tried" in checked.stdout, checked.stderr
    shown = sparkrun("status", "-H", podman.name)
    assert shown.returncode == 0 and "no workload is running" in shown.stdout, shown.stdout + shown.stderr


async def test_images_of_containerds_store_need_room_where_containerd_keeps_them(
    cluster: Cluster, workstation: Workstation, newer_root: Path
) -> None:
    small = cluster.add_host(HostSpec(root=newer_root, daemon=Daemon.CONTAINERD, disk="40m"))
    workstation.know_hosts()
    try:
        async with launcher() as at:
            state = await begin(at, [small], recipe("tiny-llama")).wait_ended()
        assert state.status is LaunchStatus.FAILED
        assert any("Docker's images (/var/lib/containerd)" in notice.text for notice in state.notices) or (
            "Docker's images (/var/lib/containerd)" in state.detail
        ), (state.detail, state.notices)
        assert untouched(small)
    finally:
        cluster.remove_host(small)
