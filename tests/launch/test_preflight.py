"""What is found before anything is changed, and that nothing is changed when it is found."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.layout.nccl import nccl_env
from sparkrun_tui.engines.plan import LABEL, HostView, Phase
from sparkrun_tui.launch.plan import preflight
from sparkrun_tui.launch.plan.host_views import fast_address, view_of
from sparkrun_tui.launch.plan.preflight import IGNORABLE, STRICT, Finding, Surroundings, Verdict, judge, judge_hosts
from sparkrun_tui.launch.record.events import LaunchStatus, StepState
from sparkrun_tui.launch.run.steps.start import ray_nodes
from sparkrun_tui.remote.docker.types import ContainerInfo, ImageInfo
from sparkrun_tui.remote.probe.facts import Disk, DockerKind, Gpu, HostFacts, RdmaPort
from tests.launch.fakes import SGLANG_TWO, SOLO, FakeCluster, facts, rendered
from tests.launch.virtual import virtual_time

HAS_IMAGE = Surroundings(has_image=True)


def findings(text: str, *changes: dict[str, Any], around: Surroundings = HAS_IMAGE, **options: Any) -> list[Finding]:
    """The findings for hosts whose facts have `changes`."""
    cluster = FakeCluster("spark-1", "spark-2")
    plan = cluster.launcher().plan(rendered(text), cluster.cluster)
    known: dict[str, HostFacts] = {}
    for number, name in enumerate(plan.host_names):
        known[name] = facts(name, **(changes[number] if number < len(changes) else {}))
    return list(judge(plan, known, dict.fromkeys(plan.host_names, around), **options))


def test_every_check_can_be_ignored_or_cannot() -> None:
    codes = set(re.findall(r'\bcode="([^"]+)"', inspect.getsource(preflight)))
    assert {"docker", "model-path", "gpu-runtime"} <= codes
    assert codes <= IGNORABLE.keys() | set(STRICT)
    assert not IGNORABLE.keys() & set(STRICT)


def test_hosts_as_they_should_be_have_no_findings() -> None:
    assert findings(SGLANG_TWO, memory_needed=90 * GIB) == []


@pytest.mark.parametrize(
    ("changes", "code", "verdict", "words"),
    [
        ({"docker_access": "denied"}, "docker", Verdict.FAIL, "usermod -aG docker me"),
        ({"docker_access": "not running"}, "docker", Verdict.FAIL, "systemctl start docker"),
        ({"gpu_runtime": False}, "gpu-runtime", Verdict.FAIL, "nvidia-ctk"),
        (
            {"disks": (Disk("/home/me/.cache/huggingface", GIB, 9 * GIB),)},
            "disk",
            Verdict.FAIL,
            "sparkrun-tui models prune -H",
        ),
        ({"disks": (Disk("/home/me/.cache/huggingface", 99 * GIB, 99 * GIB, 900),)}, "disk", Verdict.FAIL, "df -i"),
        ({"gpus": ()}, "gpu", Verdict.WARN, "nvidia-smi"),
        ({"gpus": (), "driver_stale": True}, "driver", Verdict.FAIL, "Restart"),
        ({"used_ports": frozenset({8000})}, "port", Verdict.FAIL, "-o port="),
        (
            {"docker_kind": DockerKind.ROOTLESS, "docker_version": "29.4.1"},
            "docker",
            Verdict.FAIL,
            "docker context use default",
        ),
        ({"docker_kind": DockerKind.ROOTLESS, "docker_version": ""}, "docker", Verdict.FAIL, "update Docker"),
        ({"docker_kind": DockerKind.ROOTLESS, "docker_version": "29.5.0"}, "docker", Verdict.WARN, "limits.conf"),
        ({"docker_kind": DockerKind.PODMAN, "docker_version": "5.4.2"}, "docker", Verdict.WARN, "DOCKER_HOST"),
        ({"memory_available": 50 * GIB}, "memory", Verdict.FAIL, "gpu_memory_utilization"),
        ({"memory_available": 95 * GIB}, "memory", Verdict.WARN, "gpu_memory_utilization"),
    ],
)
def test_each_fault_of_a_host_is_reported_with_what_to_do(
    changes: dict[str, Any], code: str, verdict: Verdict, words: str
) -> None:
    found = findings(SOLO, changes, memory_needed=90 * GIB)
    assert [(item.host, item.code, item.verdict) for item in found] == [("spark-1", code, verdict)]
    assert words in found[0].remedy
    assert found[0].measured and found[0].needed


def test_images_of_containerds_store_need_room_where_containerd_keeps_them() -> None:
    disks = (
        Disk("/home/me/.cache/huggingface", 99 * GIB, 99 * GIB),
        Disk("/var/lib/docker", 99 * GIB, 99 * GIB),
        Disk("/var/lib/containerd", GIB, 9 * GIB),
    )
    changes = {"disks": disks, "image_root": "/var/lib/containerd"}
    (found,) = findings(SOLO, changes, around=Surroundings())
    assert (found.code, found.verdict) == ("disk", Verdict.FAIL)
    assert "(/var/lib/containerd)" in found.what


def test_hosts_are_judged_without_a_launch_too() -> None:
    alike = {"spark-1": facts("spark-1"), "spark-2": facts("spark-2")}
    assert judge_hosts(alike) == ()
    worse = {"spark-1": facts("spark-1", driver="570.1"), "spark-2": facts("spark-2", docker_access="denied")}
    worse["spark-1"] = replace(worse["spark-1"], tools=frozenset())
    found = judge_hosts(worse)
    assert [(item.host, item.code, item.verdict) for item in found] == [
        ("spark-2", "docker", Verdict.FAIL),
        ("spark-1", "tools", Verdict.WARN),
        ("spark-2", "hosts-differ", Verdict.WARN),
    ]


@pytest.mark.parametrize(
    ("changes", "code", "verdict"),
    [
        ({"arch": "x86_64"}, "arch", Verdict.FAIL),
        ({"driver": "580.142"}, "hosts-differ", Verdict.WARN),
        ({"clock_skew": 60.0}, "skew", Verdict.FAIL),
        ({"clock_skew": 5.0}, "skew", Verdict.WARN),
    ],
)
def test_hosts_that_do_not_go_together(changes: dict[str, Any], code: str, verdict: Verdict) -> None:
    found = findings(SGLANG_TWO, {}, changes)
    assert [(item.code, item.verdict) for item in found] == [(code, verdict)]
    assert found[0].host == "spark-2"


def test_a_gpu_with_memory_of_its_own_is_not_judged_by_the_hosts_memory() -> None:
    own = (Gpu("NVIDIA RTX 6000", memory_total=96 * GIB),)
    assert findings(SOLO, {"gpus": own, "memory_available": 10 * GIB}, memory_needed=90 * GIB) == []


def test_the_container_that_holds_the_port_is_named() -> None:
    labels = {f"{LABEL}launch": "abcd2345", f"{LABEL}port": "8000"}
    around = Surroundings((ContainerInfo("id", "sparkrun-tui-abcd2345-0", "i", "running", labels),), True)
    found = findings(SOLO, {"used_ports": frozenset({8000})}, around=around)
    assert "sparkrun-tui-abcd2345-0" in found[0].measured
    assert "sparkrun-tui stop abcd2345" in found[0].remedy


def test_the_port_of_an_engine_that_still_loads_is_taken_and_that_of_a_worker_is_not() -> None:
    for rank, codes in (("0", ["port"]), ("1", [])):
        labels = {f"{LABEL}launch": "abcd2345", f"{LABEL}port": "8000", f"{LABEL}rank": rank}
        around = Surroundings((ContainerInfo("id", "sparkrun-tui-abcd2345-0", "i", "running", labels),), True)
        assert [item.code for item in findings(SOLO, around=around)] == codes


@virtual_time
async def test_what_runs_already_in_part_has_to_be_stopped_first(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    first = launcher.launch(launcher.plan(rendered(SGLANG_TWO), cluster.cluster))
    await first.wait_ready()
    await first.detach()
    cluster[2].end(next(iter(cluster[2].containers.values())), 137)
    state = await launcher.launch(launcher.plan(rendered(SGLANG_TWO), cluster.cluster)).wait_ended()
    assert "but it is degraded: rank 1 on spark-2" in state.detail and "to stop it first" in state.detail
    assert state.diagnosis is not None
    assert f"sparkrun-tui stop {first.launch_id}" in state.diagnosis.repairs[0].title


def test_a_missing_image_needs_room() -> None:
    small = {"disks": (Disk("/var/lib/docker", 12 * GIB, 99 * GIB), Disk("/home/me/.cache/huggingface", 99 * GIB, 1))}
    found = findings(SOLO, small, around=Surroundings())
    assert [(item.code, item.verdict) for item in found] == [("disk", Verdict.WARN)]
    assert findings(SOLO, small) == []


@pytest.mark.parametrize(
    ("env", "warned"),
    [(("CUDA_VERSION=13.1.0",), True), (("CUDA_VERSION=13.0.2",), False), (("CUDA_VERSION=12.9",), False), ((), False)],
)
def test_an_image_for_a_newer_cuda_is_warned_of(env: tuple[str, ...], warned: bool) -> None:
    image = ImageInfo("sha256:1", (), (), (), "linux", "arm64", 1, env)
    found = findings(SOLO, around=Surroundings.seen((), image))
    assert [(item.code, item.verdict) for item in found] == ([("driver", Verdict.WARN)] if warned else [])


@virtual_time
async def test_a_failed_check_changes_nothing_on_any_host(cluster: FakeCluster) -> None:
    cluster[2].facts = replace(cluster[2].facts, docker_access="denied")
    state = await cluster.begin(SGLANG_TWO).wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.hosts["spark-2"].cells[Phase.CHECK].state is StepState.FAILED
    assert [host.actions for host in cluster.hosts.values()] == [[], []]
    assert state.diagnosis is not None and "usermod" in state.diagnosis.repairs[0].title


@virtual_time
async def test_a_check_can_be_waved_through(cluster: FakeCluster) -> None:
    cluster[1].facts = replace(cluster[1].facts, memory_available=10 * GIB)
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(SOLO), cluster.cluster)
    launch = launcher.launch(plan, memory_needed=90 * GIB, ignored=frozenset({"memory"}))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert any("not enough memory" in notice.text for notice in state.notices)
    await launch.stop()


@virtual_time
async def test_a_host_that_does_not_answer_fails_the_check_with_a_remedy(cluster: FakeCluster) -> None:
    cluster[2].unreachable = True
    state = await cluster.begin(SGLANG_TWO).wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.hosts["spark-2"].link == "unreachable"
    assert state.diagnosis is not None and state.diagnosis.repairs[0].title == "Is it switched on?"


@virtual_time
async def test_launching_what_runs_already_says_so_and_changes_nothing(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    first = launcher.launch(launcher.plan(rendered(SOLO), cluster.cluster))
    await first.wait_ready()
    cluster[1].facts = replace(cluster[1].facts, used_ports=frozenset({8000}))
    before = list(cluster[1].actions)
    state = await launcher.launch(launcher.plan(rendered(SOLO), cluster.cluster)).wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert "already runs" in state.detail and first.launch_id in state.detail
    assert cluster[1].actions == before
    await first.stop()


@pytest.mark.parametrize(("indices", "one"), [((3, 3), 3), ((5, 3), None), ((None, 3), None), ((None,), None)])
def test_the_address_index_of_devices_that_do_not_agree(indices: tuple[int | None, ...], one: int | None) -> None:
    # Three pairs of Sparks had other indices on each box and device, which also moved.
    rdma = tuple(RdmaPort(f"roce{n}", f"enp{n}", f"192.0.2.{n}", index) for n, index in enumerate(indices))
    cluster = FakeCluster("spark-1")
    view = view_of(facts("spark-1", rdma=rdma), cluster.cluster, "spark-1")
    assert view.rdma is not None and view.rdma.gid_index == one
    environment = nccl_env(view, (view, view))
    assert environment.get("NCCL_IB_GID_INDEX") == (None if one is None else str(one))


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("NCCL_IB_HCA", "rocep1s0f0", True),
        ("NCCL_IB_HCA", "mlx5_0,rocep1", True),
        ("NCCL_IB_HCA", "=rocep1s0f0:1", True),
        ("NCCL_IB_HCA", "=rocep1", False),
        ("NCCL_IB_HCA", "mlx5_0:1,mlx5_1:1", False),
        ("NCCL_IB_HCA", "^mlx5_0", True),
        ("NCCL_SOCKET_IFNAME", "enp", True),
        ("NCCL_SOCKET_IFNAME", "eth0", False),
        ("GLOO_SOCKET_IFNAME", "enp1s0f0np0", True),
        ("UCX_NET_DEVICES", "rocep1s0f0:1", True),
        ("UCX_NET_DEVICES", "enp1s0f0np0", True),
        ("UCX_NET_DEVICES", "mlx5_0:1", False),
        ("UCX_NET_DEVICES", "all", True),
    ],
)
def test_adapters_that_only_the_authors_hosts_have(name: str, value: str, fits: bool) -> None:
    there: dict[str, Any] = {
        "rdma": (RdmaPort("rocep1s0f0", "enp1s0f0np0", "192.0.2.1", 3),),
        "interfaces": frozenset({"lo", "enp1s0f0np0", "docker0"}),
    }
    text = f"{SGLANG_TWO}env: {{{name}: '{value}'}}\n"
    found = findings(text, there, there)
    expected = [] if fits else ["adapter", "adapter"]
    assert [item.code for item in found] == expected
    # Nothing is said of hosts whose adapters are not known.
    assert findings(text) == []


def ring(count: int) -> list[dict[str, Any]]:
    """Facts of hosts that are cabled in a ring without a switch: each link is a network of its own."""
    hosts = []
    for number in range(count):
        before = (number - 1) % count
        hosts.append(
            {
                "rdma": (
                    RdmaPort("rocep1s0f0", "enp1s0f0np0", f"10.9.{number}.1", 3, f"10.9.{number}.0/24"),
                    RdmaPort("rocep1s0f1", "enp1s0f1np1", f"10.9.{before}.2", 3, f"10.9.{before}.0/24"),
                )
            }
        )
    return hosts


def views(*changes: dict[str, Any]) -> tuple[HostView, ...]:
    names = [f"spark-{number}" for number in range(1, len(changes) + 1)]
    cluster = FakeCluster(*names).cluster
    return tuple(view_of(facts(name, **change), cluster, name) for name, change in zip(names, changes, strict=True))


def test_three_hosts_without_a_switch_get_what_nccl_needs_for_links_of_their_own() -> None:
    hosts = views(*ring(3))
    environment = nccl_env(hosts[0], hosts)
    assert environment["NCCL_IB_SUBNET_AWARE_ROUTING"] == "1"
    assert environment["NCCL_IB_MERGE_NICS"] == "0"
    assert environment["NCCL_NET_PLUGIN"] == "none"
    assert "NCCL_IB_GID_INDEX" not in environment
    switched = tuple({"rdma": (RdmaPort("r", "e", f"10.9.0.{n}", 3, "10.9.0.0/24"),)} for n in (1, 2, 3))
    assert "NCCL_IB_MERGE_NICS" not in nccl_env(views(*switched)[0], views(*switched))
    two = hosts[:2]
    assert "NCCL_IB_MERGE_NICS" not in nccl_env(two[0], two)


def ports(*networks: str) -> dict[str, Any]:
    """Facts of a host whose RDMA ports f0, f1, ... have an address in these networks; an empty one has none."""
    found = []
    for number, network in enumerate(networks):
        address = network.replace(".0/24", ".9") if network else ""
        found.append(RdmaPort(f"roce{number}", f"enp{number}", address, 3, network))
    return {"rdma": tuple(found)}


@pytest.mark.parametrize(
    ("first", "second", "devices"),
    [
        # The second port of each leads to a PC, or to a host that takes no part.
        (("10.1.0.0/24", "10.2.0.0/24"), ("10.1.0.0/24", "10.3.0.0/24"), ("roce0", "roce0")),
        # The left port of one is cabled to the right port of the other.
        (("10.1.0.0/24", ""), ("10.2.0.0/24", "10.1.0.0/24"), ("roce0,roce1", "roce1")),
        # Both are cabled, crosswise: the lists are in the order of the networks.
        (("10.1.0.0/24", "10.2.0.0/24"), ("10.2.0.0/24", "10.1.0.0/24"), ("roce0,roce1", "roce1,roce0")),
        # Nothing is known in common: NCCL gets all, and the preflight says it.
        (("10.1.0.0/24", "10.2.0.0/24"), ("10.3.0.0/24", "10.4.0.0/24"), ("roce0,roce1", "roce0,roce1")),
        (("", ""), ("10.3.0.0/24", ""), ("roce0,roce1", "roce0,roce1")),
    ],
)
def test_rdma_devices_that_lead_elsewhere_are_left_out(
    first: tuple[str, ...], second: tuple[str, ...], devices: tuple[str, str]
) -> None:
    hosts = views(ports(*first), ports(*second))
    assert tuple(nccl_env(host, hosts)["NCCL_IB_HCA"] for host in hosts) == devices
    for host in hosts:
        environment = nccl_env(host, hosts)
        with_port = ",".join(f"{device}:1" for device in environment["NCCL_IB_HCA"].split(","))
        assert environment["UCX_NET_DEVICES"] == with_port


def test_models_are_sent_over_the_link_between_two_hosts() -> None:
    first, second, third = views(*ring(3))
    assert fast_address(second, first) == "10.9.0.2"
    assert fast_address(third, first) == "10.9.2.1"
    assert fast_address(first, third) == "10.9.2.2"
    far = views(*ring(4))
    assert fast_address(far[2], far[0]) == far[2].address, "no link: over the network of the cluster"
    unknown = views(*({"rdma": (RdmaPort("r", "e", f"10.9.0.{n}", 3),)} for n in (1, 2)))
    assert fast_address(unknown[1], unknown[0]) == "10.9.0.2"


def test_hosts_without_an_rdma_network_in_common_are_pointed_out() -> None:
    assert findings(SGLANG_TWO, *ring(3)[:2]) == []
    apart = [{"rdma": (RdmaPort("r", "e", f"10.9.{n}.1", 3, f"10.9.{n}.0/24"),)} for n in (1, 2)]
    found = findings(SGLANG_TWO, *apart)
    assert [item.code for item in found] == ["rdma", "rdma"]
    assert "spark-2" in found[0].what and "one network" in found[0].remedy
    four = {f"spark-{n}": facts(f"spark-{n}", **change) for n, change in enumerate(ring(4), 1)}
    found = [item for item in judge_hosts(four) if item.code == "rdma"]
    assert [(item.host, item.what.split(": ")[0][-7:]) for item in found] == [
        ("spark-1", "spark-3"),
        ("spark-2", "spark-4"),
        ("spark-3", "spark-1"),
        ("spark-4", "spark-2"),
    ]
    assert "switch" in found[0].remedy


def test_each_of_several_hosts_knows_its_own_address() -> None:
    cluster = FakeCluster("spark-1", "spark-2")
    ranks = cluster.launcher().plan(rendered(SGLANG_TWO), cluster.cluster).serve.ranks
    assert [rank.container.env["NODE_IP"] for rank in ranks] == ["spark-1", "spark-2"]


def test_nccl_speaks_of_failures_between_hosts_unless_the_recipe_says_otherwise() -> None:
    cluster = FakeCluster("spark-1", "spark-2")
    usual = cluster.launcher().plan(rendered(SGLANG_TWO), cluster.cluster).serve.ranks
    assert {rank.container.env["NCCL_DEBUG"] for rank in usual} == {"WARN"}
    text = f"{SGLANG_TWO}env: {{NCCL_DEBUG: INFO}}\n"
    asked = cluster.launcher().plan(rendered(text), cluster.cluster).serve.ranks
    assert {rank.container.env["NCCL_DEBUG"] for rank in asked} == {"INFO"}
    (alone,) = cluster.launcher().plan(rendered(SOLO), cluster.cluster).serve.ranks
    assert "NCCL_DEBUG" not in alone.container.env


def test_nodes_that_have_joined_ray() -> None:
    # `ray status` of Ray 2.60 with its second autoscaler, which calls nodes idle until something runs on them.
    assert ray_nodes("Active:\n (no active nodes)\nIdle:\n 1 node_8\n 1 node_9\nPending:\n 1 node_x\n") == 2
    assert ray_nodes("Active:\n 1 node_81\nPending:\n (no pending nodes)\nRecent failures:\n 1 node_2\n") == 1
