"""A2: mounts, devices and capabilities are judged in the spelling in which Docker is given them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.errors import SettingsError
from sparkrun_tui.base.user.settings import Cluster, load_settings
from sparkrun_tui.cli.main import run
from sparkrun_tui.engines.layout.options import mount_of
from sparkrun_tui.engines.plan import HostView
from sparkrun_tui.launch.plan.consent import consent_needed
from sparkrun_tui.launch.plan.containers import create_body, run_command
from sparkrun_tui.launch.plan.dry_run import offline_plan
from sparkrun_tui.launch.plan.plan import LaunchPlan, build_plan
from sparkrun_tui.recipe.format.hooks import container_options
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Severity, Source, SourceKind
from sparkrun_tui.recipe.names.mounts import Judgement, agreed_folders, is_agreed, judge_source, normal_path
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
    assert [demand.is_risky for demand in asked(options, Kind.MOUNT)] == [True]
    assert planned(options, SourceKind.USER).errors == ()


@pytest.mark.parametrize("source", GRAVE)
def test_what_may_hold_anything_is_asked_about_and_marked(source: str) -> None:
    options: dict[str, object] = {"volumes": [f"{source}:/x"]}
    assert planned(options).errors == ()
    (demand,) = asked(options, Kind.MOUNT)
    assert demand.is_risky and "where links on the hosts lead cannot be seen" in demand.detail


@pytest.mark.parametrize("source", HARMLESS)
def test_what_every_container_has_is_not_marked(source: str) -> None:
    options: dict[str, object] = {"volumes": [f"{source}:/x"]}
    assert planned(options).errors == ()
    assert [demand.is_risky for demand in asked(options, Kind.MOUNT)] == [False]


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
        ("/data/people/ada/x", "/data/people/ada", Judgement.SERIOUS),
        ("~/..", "/data/people/ada", Judgement.REFUSED),
        ("~/../bob/.ssh", "/data/people/ada", Judgement.REFUSED),
        ("/data/other", "/data/people/ada", Judgement.SERIOUS),
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
    ("device", "given", "is_risky"),
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
def test_devices_are_judged_by_where_they_lead(device: str, given: str, is_risky: bool) -> None:
    (demand,) = asked({"devices": [device]}, Kind.PRIVILEGE)
    assert (demand.title, demand.is_risky) == (f"asks for the device {given}", is_risky)
    assert planned({"devices": [device]}).serve.ranks[0].container.devices[-1] == given


@pytest.mark.parametrize("device", ["/dev/../etc/shadow", "/dev/.", "/dev/dri/../..", "/dev//"])
def test_a_device_outside_of_dev_is_an_error(device: str) -> None:
    options = container_options(recipe_of({"devices": [device]}))
    assert options.devices == ()
    assert [problem.severity for problem in options.problems] == [Severity.ERROR]


@pytest.mark.parametrize(
    ("name", "is_risky"),
    [
        ("IPC_LOCK", False), ("CAP_IPC_LOCK", False), ("SYS_NICE", False), ("CHOWN", False),
        ("SYS_ADMIN", True), ("CAP_SYS_PTRACE", True), ("DAC_READ_SEARCH", True), ("NET_ADMIN", True), ("BPF", True),
        ("SYS_BOOT", True), ("MAC_OVERRIDE", True), ("ALL", True), ("SOME_NEW_ONE", True),
    ],
)  # fmt: skip
def test_capabilities_that_are_not_known_to_be_harmless_are_marked(name: str, is_risky: bool) -> None:
    assert [demand.is_risky for demand in asked({"cap_add": [name]}, Kind.PRIVILEGE)] == [is_risky]


def test_sharing_another_container_is_marked() -> None:
    found = asked({"network": "container:other", "ipc": "container:db"}, Kind.PRIVILEGE)
    assert [(demand.title, demand.is_risky) for demand in found] == [
        ("shares the network of another container: other", True),
        ("shares the ipc of another container: db", True),
    ]


# Folders that the user's settings agree to.

AGREED = ("/srv/models", "~/models", "//mnt//disk/.", "/data/")


def agreed_demand(volume: str, data_dirs: tuple[str, ...] = AGREED) -> Demand:
    rendered = render(recipe_of({"volumes": [volume]}), {})
    (found,) = [demand for demand in demands(rendered, {}, data_dirs=data_dirs) if demand.kind is Kind.MOUNT]
    return found


@pytest.mark.parametrize(
    "source",
    ["/srv/models", "/srv/models/", "//srv/./models/qwen", "/srv/x/../models", "~/models/a", "/mnt/disk", "/data/a"],
)
def test_a_folder_that_the_user_agreed_to_is_not_grave(source: str) -> None:
    demand = agreed_demand(f"{source}:/x")
    assert not demand.is_risky
    assert "your data_dirs allow" in demand.title
    assert agreed_demand(f"{source}:/x", ()).is_risky


@pytest.mark.parametrize(
    "source",
    [
        "/srv", "/srv/models2", "/srv/models/..", "/srv/models/../other", "/srv/models/../../etc", "/data/../srv",
        "/datax", "~/modelsx", "~/models/../.ssh", "/home/ada/models", "/srv/models/.ssh", "/srv/models/docker.sock",
        "/mnt", "/data/.aws/x",
    ],
)  # fmt: skip
def test_nothing_beside_or_above_it_is_agreed_to(source: str) -> None:
    assert agreed_demand(f"{source}:/x").is_risky


@pytest.mark.parametrize("folder", [*REFUSED, "", ".", "data", "$HOME/models", "../x", "~ada/models", "scratch"])
def test_what_gives_a_host_away_can_never_be_agreed_to(folder: str) -> None:
    agreed, refused = agreed_folders((folder,))
    assert agreed == ()
    assert refused
    assert "data_dirs" in refused[0]
    for source in ("/etc/passwd", "/root/.ssh", "/srv/models", "~/.ssh", "/var/run/docker.sock"):
        assert not is_agreed(source, (folder,))


def test_an_agreed_folder_that_holds_a_home_does_not_give_the_home() -> None:
    host = HostView("spark-1", "10.0.0.1", home="/data/people/ada")
    recipe = recipe_of({"volumes": ["/data/people/ada/.ssh:/x", "/data/people:/y"]})
    cluster = Cluster("lab", ("spark-1",))
    plan = build_plan(render(recipe, {}), cluster, [host], launch_id="abcd2345")
    assert [problem.code for problem in plan.errors].count("host-mount") == 2


@pytest.mark.parametrize(
    "more",
    [
        "data_dirs: [/srv/models]\n",
        "defaults: {data_dirs: [/srv/models]}\n",
        "metadata: {data_dirs: [/srv/models]}\n",
        "executor_config: {data_dirs: [/srv/models], volumes: ['/srv/models:/x']}\n",
        "runtime_config: {data_dirs: [/srv/models]}\n",
        "env: {data_dirs: /srv/models}\n",
    ],
)
def test_a_recipe_cannot_agree_for_its_user(more: str) -> None:
    text = BASE + ("" if "executor_config" in more else "executor_config: {volumes: ['/srv/models:/x']}\n") + more
    rendered = render(load_text(text, Source(SourceKind.REGISTRY, "/cache/arena/r.yaml", "arena")), {})
    mounts = [
        demand for demand in demands(rendered, {}, data_dirs=load_settings().data_dirs) if demand.kind is Kind.MOUNT
    ]
    assert [demand.is_risky for demand in mounts] == [True]


def test_a_strangers_file_that_mounts_an_agreed_folder_is_not_asked_about(tmp_path: Path) -> None:
    text = BASE + "executor_config: {volumes: ['/srv/models:/x:ro']}\n"
    source = Source(SourceKind.PATH, str(tmp_path / "r.yaml"), stranger=True)
    rendered = render(load_text(text, source), {})
    assert consent_needed(rendered, {})
    assert consent_needed(rendered, {}, data_dirs=("/srv/models",)) == ()
    assert consent_needed(rendered, {}, data_dirs=("/srv/other",))


def test_the_setting_is_read_and_what_cannot_be_agreed_to_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = paths.config_dir() / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("data_dirs: [/srv/models, /, ~/.ssh]\n")
    assert load_settings().data_dirs == ("/srv/models", "/", "~/.ssh")
    recipe = tmp_path / "r.yaml"
    recipe.write_text(BASE + "executor_config: {volumes: ['/srv/models:/x']}\n")
    run(["run", str(recipe), "--dry-run"], open_app=lambda *_: 1)
    told = capsys.readouterr().err
    assert told.count("data_dirs: ") == 2
    config.write_text("data_dirs: {a: b}\n")
    with pytest.raises(SettingsError, match="data_dirs"):
        load_settings()
