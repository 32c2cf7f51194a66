"""A2: mounts, devices and capabilities are judged in the spelling in which Docker is given them."""

from __future__ import annotations

import json
import os
import re

import pytest

from sparkrun_tui.engines.layout.options import mount_of
from sparkrun_tui.engines.plan import HostView
from sparkrun_tui.launch.plan.containers import create_body, run_command
from sparkrun_tui.launch.plan.dry_run import offline_plan
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.recipe.format.hooks import container_options
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.format.mounts import Judgement, judge_source, normal_path
from sparkrun_tui.recipe.model import Recipe, Severity, Source, SourceKind
from sparkrun_tui.recipe.trust import Demand, Kind, demands
from sparkrun_tui.recipe.values.overrides import render

BASE = "model: org/m\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve org/m\n"

ROOTS = ("/", "//", "///", "/./", "/.", "/home/../", "/proc/../", "/srv/../..", "//..//", "~/..", "~/../..")
REFUSED = (
    *ROOTS, "~", "~/", "~/.", "//etc", "/etc/x", "/./etc", "/srv/../etc", "~/.ssh", "~/./.ssh", "~/x/../.ssh", "~/.aws",
    "~/.bashrc", "~/.config/x", "/root", "/root/.aws", "/home", "/home/ada", "/home/ada/.bashrc", "/home/ada/.ssh/",
    "/proc", "/sys/kernel", "/dev", "/dev/shm/..", "/dev/shm/../mem", "/var/run/docker.sock", "/run//docker.sock",
    "/srv/x/docker.sock", "/var/lib/docker", "/run/containerd", "/run/systemd", "/lib/systemd/system", "/usr/local/bin",
    "/boot", "/usr", "/var", "/tmp", "/mnt/.ssh/keys",
)  # fmt: skip
GRAVE = (
    "/srv/models",
    "/opt",
    "/data",
    "~/models",
    "/home/ada/models",
    "/mnt/disk",
    "~/.cache/other",
    "/tmp/x",
    "/etcetera",
)
HARMLESS = (
    "sparkrun-scratch", "~/.cache/huggingface", "~/.cache/huggingface/hub/", "/home/ada/.cache/huggingface", "/dev/shm",
    "/dev/infiniband/", "/tmp/sparkrun-dspark-vllm",
)  # fmt: skip


def recipe_of(options: dict[str, object], kind: SourceKind = SourceKind.REGISTRY) -> Recipe:
    text = BASE + f"executor_config: {json.dumps(options)}\n"
    return load_text(text, Source(kind, "/cache/arena/r.yaml", "arena"))


def planned(options: dict[str, object], kind: SourceKind = SourceKind.REGISTRY) -> LaunchPlan:
    return offline_plan(render(recipe_of(options, kind), {}), None, "abcd2345", {})


def asked(options: dict[str, object], kind: Kind) -> list[Demand]:
    return [demand for demand in demands(render(recipe_of(options), {}), {}) if demand.kind is kind]


@pytest.mark.parametrize("source", REFUSED)
def test_what_gives_the_host_away_is_refused_and_marked(source: str) -> None:
    options: dict[str, object] = {"volumes": [f"{source}:/x"]}
    errors = [problem.code for problem in planned(options).errors]
    assert errors == ["host-mount"]
    assert [demand.grave for demand in asked(options, Kind.MOUNT)] == [True]
    assert planned(options, SourceKind.USER).errors == ()


@pytest.mark.parametrize("source", GRAVE)
def test_what_may_hold_anything_is_asked_about_and_marked(source: str) -> None:
    options: dict[str, object] = {"volumes": [f"{source}:/x"]}
    assert planned(options).errors == ()
    (demand,) = asked(options, Kind.MOUNT)
    assert demand.grave and "where links on the hosts lead cannot be seen" in demand.detail


@pytest.mark.parametrize("source", HARMLESS)
def test_what_every_container_has_is_not_marked(source: str) -> None:
    options: dict[str, object] = {"volumes": [f"{source}:/x"]}
    assert planned(options).errors == ()
    assert [demand.grave for demand in asked(options, Kind.MOUNT)] == [False]


@pytest.mark.parametrize("source", [*REFUSED, *GRAVE, *HARMLESS])
def test_docker_is_given_what_was_judged(source: str) -> None:
    """The question, the dry run and the request all name one path, which has nothing left to be collapsed."""
    plan = planned({"volumes": [f"{source}:/x"]})
    box = plan.serve.ranks[0].container
    (bind,) = [text for text in create_body(box)["HostConfig"]["Binds"] if text.endswith(":/x")]
    given = bind.removesuffix(":/x")
    (demand,) = asked({"volumes": [f"{source}:/x"]}, Kind.MOUNT)
    assert demand.title.split(" of each host")[0].endswith(f" {given}")
    assert normal_path(given) == given
    if not given.startswith("~") and "/" in given:
        assert given == re.sub(r"^/+", "/", os.path.normpath(source))
    assert f"{given.removeprefix('~')}:/x" in run_command(box).replace("'", "").replace('"$HOME"', "")


@pytest.mark.parametrize(
    ("source", "home", "judged"),
    [
        ("/data/people/ada", "/data/people/ada", Judgement.REFUSED),
        ("/data/people", "/data/people/ada", Judgement.REFUSED),
        ("/data", "/data/people/ada", Judgement.REFUSED),
        ("/data/people/ada/.ssh", "/data/people/ada", Judgement.REFUSED),
        ("/data/people/ada/.cache/huggingface", "/data/people/ada", Judgement.HARMLESS),
        ("/data/people/ada/x", "/data/people/ada", Judgement.GRAVE),
        ("~/..", "/data/people/ada", Judgement.REFUSED),
        ("~/../bob/.ssh", "/data/people/ada", Judgement.REFUSED),
        ("/data/other", "/data/people/ada", Judgement.GRAVE),
    ],
)
def test_a_home_is_one_wherever_it_lies(source: str, home: str, judged: Judgement) -> None:
    assert judge_source(source, home) is judged


def test_a_home_is_put_in_before_the_path_is_made_plain() -> None:
    host = HostView("spark-1", "spark-1", home="/home/ada")
    assert mount_of("~/../x:/x", host).source == "/home/x"
    assert mount_of("~:/x", host).source == "/home/ada"
    assert mount_of("//srv/./a/../b/:/x:ro", host).source == "/srv/b"


@pytest.mark.parametrize("source", ["$HOME", "${HOME}/x", "./x", "../x", "a/b", "~bob/x", ".", "..", "-x", " /etc"])
def test_what_docker_would_take_for_something_else_is_an_error(source: str) -> None:
    for kind in (SourceKind.REGISTRY, SourceKind.USER):
        assert [problem.code for problem in planned({"volumes": [f"{source}:/x"]}, kind).errors] == ["volume-path"]


@pytest.mark.parametrize(
    ("device", "given", "grave"),
    [
        ("/dev/dri/../mem", "/dev/mem", True),
        ("/dev/nvidia0/../sda", "/dev/sda", True),
        ("/dev//kmsg", "/dev/kmsg", True),
        ("/dev/driver", "/dev/driver", True),
        ("/dev/fuse:/dev/fuse:rw", "/dev/fuse:/dev/fuse:rw", True),
        ("/dev/./dri/card0", "/dev/dri/card0", False),
        ("/dev/nvidia-uvm", "/dev/nvidia-uvm", False),
        ("/dev/nvidia0:/dev/nvidia0", "/dev/nvidia0:/dev/nvidia0", False),
        ("/dev/infiniband/uverbs0", "/dev/infiniband/uverbs0", False),
        ("/dev/kfd", "/dev/kfd", False),
    ],
)
def test_devices_are_judged_by_where_they_lead(device: str, given: str, grave: bool) -> None:
    (demand,) = asked({"devices": [device]}, Kind.PRIVILEGE)
    assert (demand.title, demand.grave) == (f"asks for the device {given}", grave)
    assert planned({"devices": [device]}).serve.ranks[0].container.devices[-1] == given


@pytest.mark.parametrize("device", ["/dev/../etc/shadow", "/dev/.", "/dev/dri/../..", "/dev//"])
def test_a_device_outside_of_dev_is_an_error(device: str) -> None:
    options = container_options(recipe_of({"devices": [device]}))
    assert options.devices == ()
    assert [problem.severity for problem in options.problems] == [Severity.ERROR]


@pytest.mark.parametrize(
    ("name", "grave"),
    [
        ("IPC_LOCK", False), ("CAP_IPC_LOCK", False), ("SYS_NICE", False), ("CHOWN", False),
        ("SYS_ADMIN", True), ("CAP_SYS_PTRACE", True), ("DAC_READ_SEARCH", True), ("NET_ADMIN", True), ("BPF", True),
        ("SYS_BOOT", True), ("MAC_OVERRIDE", True), ("ALL", True), ("SOME_NEW_ONE", True),
    ],
)  # fmt: skip
def test_capabilities_that_are_not_known_to_be_harmless_are_marked(name: str, grave: bool) -> None:
    assert [demand.grave for demand in asked({"cap_add": [name]}, Kind.PRIVILEGE)] == [grave]


def test_sharing_another_container_is_marked() -> None:
    found = asked({"network": "container:other", "ipc": "container:db"}, Kind.PRIVILEGE)
    assert [(demand.title, demand.grave) for demand in found] == [
        ("shares the network of another container, other", True),
        ("shares the ipc of another container, db", True),
    ]
