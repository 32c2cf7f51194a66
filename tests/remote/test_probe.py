"""One probe, one round trip: the script on a made-up machine, and its answer read tolerantly."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.probe.ask import probe
from sparkrun_tui.remote.probe.parse import complete, parse
from sparkrun_tui.remote.probe.script import script
from tests.support.scripted import ScriptedTransport

GIB = 1 << 30

SPARK = """\
epoch=1000001.500000000
hostname=spark-01
arch=aarch64
kernel=6.14.0-1015-nvidia
user=nvidia
home=/home/nvidia
hf_cache=/home/nvidia/.cache/huggingface
boot_id=abc
[[meminfo
MemTotal:       127600748 kB
MemAvailable:   118566368 kB
SwapFree:              12 kB

]]
tool=rsync
tool=nvidia-smi
[[docker
version=29.1.0
root=/var/lib/docker
runtimes=io.containerd.runc.v2 nvidia runc
]]
disk=/home/nvidia/.cache/huggingface\t/dev/nvme0n1p2 3844648956 1 2600000000 29% /\t/dev/nvme 244195328 1 244195327 1% /
disk=/var/lib/docker\t/dev/nvme0n1p2 3844648956 1 2600000000 29% /\tbtrfs 0 0 0 - /
[[gpus
NVIDIA GB10, 580.95.05, [N/A], 3, 9.51, 41, 208, [N/A]

]]
[[smi
| NVIDIA-SMI 580.95.05   Driver Version: 580.95.05   CUDA Version: 13.0  |

]]
[[route
default via 192.168.1.1 dev wlP9s9 proto dhcp src 192.168.1.50 metric 600
default via 192.168.1.1 dev enP7s7 proto dhcp src 192.168.1.7 metric 100

]]
[[addresses
1: lo    inet 127.0.0.1/8 scope host lo
2: enP7s7    inet 192.168.1.7/24 brd 192.168.1.255 scope global enP7s7
5: enp1s0f1np1    inet 192.168.100.10/24 scope global enp1s0f1np1

]]
infiniband=rocep1s0f0
rdma=rocep1s0f1\tenp1s0f1np1\t3
infiniband_dev=yes
[[listen
LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=900,fd=3))
LISTEN 0 2048 *:8000 *:* users:(("python3",pid=42,fd=9))
LISTEN 0 128 [::]:22 [::]:*

]]
end=yes
"""


def facts_of(text: str, ports: tuple[int, ...] = (8000, 22, 9)):  # type: ignore[no-untyped-def]
    return parse(text, name="spark", taken=1000000.0, round_trip=1.0, ports=ports)


def test_a_spark_tells_all_that_matters() -> None:
    facts = facts_of(SPARK)
    assert (facts.hostname, facts.arch, facts.user, facts.home) == ("spark-01", "aarch64", "nvidia", "/home/nvidia")
    assert (facts.memory_total, facts.memory_available) == (127600748 * 1024, 118566368 * 1024)
    # The clock is 1.0 s ahead at the middle of a round trip of 1 s: of that, half a second is not known.
    assert facts.clock_skew == pytest.approx(0.5)
    (gpu,) = facts.gpus
    assert (gpu.name, gpu.memory_total, gpu.utilisation, gpu.power_watts, gpu.temperature) == (
        "NVIDIA GB10", None, 3.0, 9.51, 41.0,
    )  # fmt: skip
    assert (gpu.clock_mhz, gpu.memory_used) == (208.0, None)
    assert (facts.driver, facts.cuda) == ("580.95.05", "13.0")
    assert (facts.docker_version, facts.docker_root, facts.docker_access) == ("29.1.0", "/var/lib/docker", "ok")
    assert facts.gpu_runtime
    assert (facts.default_interface, facts.default_address) == ("enP7s7", "192.168.1.7")
    (port,) = facts.rdma
    assert port.network == "192.168.100.0/24"
    assert (port.device, port.interface, port.address, port.gid_index) == (
        "rocep1s0f1", "enp1s0f1np1", "192.168.100.10", 3,
    )  # fmt: skip
    assert facts.infiniband
    assert facts.used_ports == {22, 8000}
    assert facts.port_owners == {8000: "python3 (pid 42)", 22: "sshd (pid 900)"}
    cache = facts.disk_for("/home/nvidia/.cache/huggingface")
    assert cache is not None
    assert (cache.free, cache.total, cache.inodes_free) == (2600000000 * 1024, 3844648956 * 1024, 244195327)
    docker = facts.disk_for("/var/lib/docker")
    assert docker is not None
    assert docker.inodes_free is None


@pytest.mark.parametrize(
    ("said", "access"),
    [
        ("Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run", "denied"),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
         "not running"),
        ("permission denied while trying to connect to the docker API", "denied"),
        ("something new \x1b[31m", "something new ␛[31m"),
        ("", "no answer"),
    ],
)  # fmt: skip
def test_why_docker_cannot_be_used(said: str, access: str) -> None:
    facts = facts_of(f"[[docker\nversion=\nroot=\n{said}\n]]\nend=yes\n")
    assert facts.docker_access == access


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("version=28.5.1\nruntimes=io.containerd.runc.v2 runc \nsecurity=name=apparmor name=cgroupns", "system"),
        ("version=28.5.1\nruntimes=io.containerd.runc.v2 runc crun \nsecurity=name=seccomp,profile=builtin", "system"),
        ("version=29.1.0\nruntimes=io.containerd.runc.v2 runc\nsecurity=name=rootless name=cgroupns", "rootless"),
        ("version=5.4.2\nruntimes=crun kata krun runc runsc youki \nsecurity=name=seccomp name=rootless", "podman"),
        ("Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg.\nError: template", "podman"),
        ("", "system"),
    ],
)
def test_what_answers_as_docker(said: str, kind: str) -> None:
    assert facts_of(f"[[docker\n{said}\n]]\nend=yes\n").docker_kind == kind


@pytest.mark.parametrize(
    ("store", "place"),
    [
        ("", "/data/docker"),
        ("extfs true true false", "/data/docker"),
        ("io.containerd.snapshotter.v1", "/var/lib/containerd"),
    ],
)
def test_where_images_lie(store: str, place: str) -> None:
    said = f"version=29.1.0\nroot=/data/docker\nstore={store}"
    assert facts_of(f"[[docker\n{said}\n]]\nend=yes\n").image_root == place


def test_docker_without_its_command() -> None:
    assert facts_of("end=yes\n").docker_access == "no socket"
    assert facts_of("socket=usable\nend=yes\n").docker_access == "ok"
    assert facts_of("socket=denied\nend=yes\n").docker_access == "denied"


def test_a_machine_without_anything_is_still_told() -> None:
    facts = facts_of("epoch=1000000.%N\n[[gpus\nNo devices were found\n]]\nend=yes\n")
    assert facts.clock_skew is None
    assert facts.gpus == ()
    assert (facts.memory_total, facts.disks, facts.rdma, facts.used_ports) == (0, (), (), frozenset())


def test_ports_from_the_kernel_where_there_is_no_ss() -> None:
    rows = ["  sl  local_address rem_address   st", "   0: 00000000:1F40 00000000:0000 0A", "   1: 0:0016 1:2 01"]
    assert facts_of("\n".join(["[[tcp", *rows, "]]"])).used_ports == {8000}


def test_a_gpu_with_memory_of_its_own_says_how_much_is_used() -> None:
    (gpu,) = facts_of("[[gpus\nNVIDIA L4, 580.95.05, 23034, 97, 71.20, 66, 2040, 20480\n]]\n").gpus
    assert (gpu.memory_total, gpu.memory_used, gpu.clock_mhz) == (23034 << 20, 20480 << 20, 2040.0)


def test_gpu_memory_is_added_up_by_container_and_unknown_where_a_figure_is() -> None:
    one, other, third = "a" * 64, "b" * 64, "c" * 64
    rows = [f"{one}\t79821", f"{one}\t300", f"{other}\t[N/A]", f"{other}\t5", "\t512", "nonsense\t7", f"{third}\t-4"]
    facts = facts_of("".join(f"gpu_held={row}\n" for row in rows))
    assert facts.gpu_held == {one: 80121 << 20}


def test_a_driver_that_says_less_leaves_the_rest_unknown() -> None:
    (gpu,) = facts_of("[[gpus\nNVIDIA GB10, 580.95.05, [N/A], 3, 9.51, 41\n]]\n").gpus
    assert (gpu.temperature, gpu.clock_mhz, gpu.memory_used) == (41.0, None, None)


def test_unreadable_fields_of_a_gpu_stay_unknown() -> None:
    (gpu,) = facts_of("[[gpus\nNVIDIA GB10, [Not Supported], [N/A], [N/A], [Unknown Error], [N/A]\n]]\n").gpus
    assert (gpu.driver, gpu.memory_total, gpu.utilisation, gpu.power_watts, gpu.temperature) == ("",) + (None,) * 4


def test_a_driver_that_was_updated_under_a_running_kernel() -> None:
    # nvidia-smi after `apt upgrade` without a restart.
    line = "NVIDIA GB10, 580.95.05, [N/A], 3, 9.51, 41"
    facts = facts_of(SPARK.replace(line, "Failed to initialize NVML: Driver/library version mismatch"))
    assert facts.driver_stale and facts.gpus == ()
    assert not facts_of(SPARK).driver_stale


def test_networks_of_containers_are_not_the_way_to_a_host() -> None:
    # A pair with a direct cable alone, whose interface was made after Docker's.
    routes = SPARK[SPARK.index("default via") : SPARK.index("[[addresses")]
    addresses = SPARK[SPARK.index("2: enP7s7") : SPARK.index("5: enp1s0f1np1")]
    inside = (
        "3: docker0    inet 172.17.0.1/16 scope global docker0\n4: br-9a    inet 172.18.0.1/16 scope global br-9a\n"
    )
    facts = facts_of(SPARK.replace(routes, "]]\n").replace(addresses, inside))
    assert (facts.default_interface, facts.default_address) == ("enp1s0f1np1", "192.168.100.10")
    alone = facts_of(
        SPARK.replace(routes, "]]\n").replace("enp1s0f1np1    inet", "veth1    inet").replace(addresses, inside)
    )
    assert (alone.default_interface, alone.default_address) == ("", "")


def test_an_answer_cut_short_is_not_complete() -> None:
    assert complete(SPARK)
    assert not complete(SPARK[:-10])


async def test_the_script_runs_on_this_machine(tmp_path: Path) -> None:
    wanted = [str(tmp_path / "not" / "there"), "~/it's"]
    facts = await probe(LocalTransport(), wanted)
    assert facts.home == str(Path.home())
    assert facts.memory_total > GIB // 4
    assert facts.clock_skew is not None
    assert abs(facts.clock_skew) < 5
    for path in wanted:
        disk = facts.disk_for(path)
        assert disk is not None
        assert disk.total >= disk.free
    assert abs(facts.taken - time.time()) < 60


async def test_docker_that_only_sudo_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (
        ("docker", 'if [ -n "$AS_ROOT" ]; then echo version=29; else echo permission denied >&2; exit 1; fi'),
        ("sudo", 'shift; AS_ROOT=1 exec "$@"'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    facts = await probe(LocalTransport())
    assert (facts.docker_access, facts.docker_version) == ("ok", "29")
    (tmp_path / "sudo").write_text("#!/bin/sh\nexit 1\n")
    assert (await probe(LocalTransport())).docker_access == "denied"


async def test_gpu_memory_is_read_by_the_containers_of_its_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = "0123456789abcdef" * 4
    (tmp_path / "bin").mkdir()
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.write_text('#!/bin/sh\ncase $* in *compute-apps*) printf "41, 70000\\n42, 821\\n43, 9\\n[N/A], 5\\n" ;; esac\n')
    smi.chmod(0o755)
    for pid, group in (("41", f"0::/system.slice/docker-{container}.scope"), ("42", f"12:devices:/docker/{container}")):
        (tmp_path / "proc" / pid).mkdir(parents=True)
        (tmp_path / "proc" / pid / "cgroup").write_text(group + "\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    result = await LocalTransport().run(script(root=str(tmp_path)))
    assert facts_of(result.stdout).gpu_held == {container: 70821 << 20}


async def test_rdma_is_read_from_the_kernel(tmp_path: Path) -> None:
    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text + "\n")

    for device, state in (("rocep1s0f0", "1: DOWN"), ("rocep1s0f1", "4: ACTIVE")):
        port = f"sys/class/infiniband/{device}/ports/1"
        write(f"{port}/state", state)
        write(f"{port}/gid_attrs/ndevs/0", f"net-{device}")
        for index, (kind, gid) in enumerate(
            [
                ("IB/RoCE v1", "fe80:0000:0000:0000:0000:0000:0000:0001"),
                ("RoCE v2", "fe80:0000:0000:0000:0000:0000:0000:0001"),
                ("IB/RoCE v1", "0000:0000:0000:0000:0000:ffff:c0a8:640a"),
                ("RoCE v2", "0000:0000:0000:0000:0000:ffff:c0a8:640a"),
            ]
        ):
            write(f"{port}/gid_attrs/types/{index}", kind)
            write(f"{port}/gids/{index}", gid)
    (tmp_path / "dev/infiniband").mkdir(parents=True)
    result = await LocalTransport().run(script(root=str(tmp_path)))
    facts = facts_of(result.stdout)
    assert [(port.device, port.interface, port.gid_index) for port in facts.rdma] == [
        ("rocep1s0f1", "net-rocep1s0f1", 3)
    ]
    assert facts.infiniband


async def test_a_probe_that_fails_says_why() -> None:
    with pytest.raises(HostError, match="cut short"):
        await probe(ScriptedTransport("spark").on("epoch", "epoch=1\n"))
    lost = ScriptedTransport("spark")
    lost.lose()
    with pytest.raises(LinkLost):
        await probe(lost)


@pytest.mark.parametrize(
    ("answer", "launch", "user", "in_force"),
    [
        (
            'lease_renewed=999990\n[[lease\n{"launch": "abcd2345", "user": "ann@desk"}\n]]\n',
            "abcd2345",
            "ann@desk",
            True,
        ),
        ('lease_renewed=999000\n[[lease\n{"launch": "abcd2345"}\n]]\n', "abcd2345", "", False),
        ('lease_renewed=1000000\n[[lease\n{"launch": "$(reboot)", "user": 5}\n]]\n', None, "", True),
        ("lease_renewed=1000000\n[[lease\n\n]]\n", None, "", True),
    ],
)
def test_who_prepares_a_host(answer: str, launch: str | None, user: str, in_force: bool) -> None:
    lease = facts_of(SPARK.replace("boot_id=abc\n", "boot_id=abc\n" + answer)).lease
    assert lease is not None
    assert (lease.launch, lease.user, lease.in_force) == (launch, user, in_force)


@pytest.mark.parametrize(
    ("began", "ended", "round_trip", "skew"),
    [
        (1000000.1, 1000010.1, 10.2, 0.0),  # a daemon that hangs for ten seconds makes no clock wrong
        (1000008.0, 1000008.2, 8.3, 0.0),  # nor does a login that takes eight
        (1000060.1, 1000060.2, 0.3, 60.0),
        (999940.1, 999940.2, 0.3, -60.0),
    ],
)
def test_a_slow_host_is_not_one_with_a_wrong_clock(began: float, ended: float, round_trip: float, skew: float) -> None:
    text = SPARK.replace("epoch=1000001.500000000", f"epoch={began}").replace("end=yes", f"epoch_end={ended}\nend=yes")
    facts = parse(text, name="spark", taken=1000000.0, round_trip=round_trip)
    assert facts.clock_skew == pytest.approx(skew, abs=0.2)


def test_what_a_login_shell_prints_at_its_end_is_no_part_of_the_answer() -> None:
    text = SPARK + "epoch=5\nhostname=bye\n"
    assert complete(text)
    assert facts_of(text).hostname == "spark-01"


def test_a_host_that_nobody_prepares() -> None:
    assert facts_of(SPARK).lease is None
    assert facts_of(SPARK.replace("boot_id=abc\n", "boot_id=abc\nlease_renewed=soon\n")).lease is None
