"""Container options of recipes: each reaches the container, and what would give a host away is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.layout.options import mount_of, size_bytes
from sparkrun_tui.engines.plan import Mount, PlanRequest, ServePlan
from sparkrun_tui.engines.registry import engine_for
from sparkrun_tui.launch.plan.containers import create_body
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Severity, Source, SourceKind
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered

from .samples import VLLM, host, hosts, plan, rendered, with_command

SOLO = VLLM.replace("tensor_parallel: 2", "tensor_parallel: 1")
OPTIONS = """\
executor_config:
  shm_size: 64gb
  ulimit: [memlock=-1:-1, "nofile=1024:4096"]
  user: root
  volumes: ["/srv/models:/models:ro", "~/prompts:/prompts", "scratch:/scratch:z"]
  devices: [/dev/infiniband, "/dev/fuse:/dev/fuse:rw"]
  cap_add: [IPC_LOCK]
  ipc: private
"""


def refused(serve: ServePlan) -> list[str]:
    return [problem.code for problem in serve.problems if problem.severity is Severity.ERROR]


@pytest.mark.parametrize(
    "what",
    [
        rendered(SOLO + OPTIONS),
        with_command("python3 -m sglang.launch_server --model-path acme/x", "sglang", "acme/x", OPTIONS),
        with_command("llama-server -hf org/x:Q4_K_M", "llama-cpp", "org/x:Q4_K_M", OPTIONS),
    ],
)
def test_every_option_reaches_the_container(what: Rendered) -> None:
    serve = plan(what)
    assert refused(serve) == []
    box = serve.ranks[0].container
    assert box.shm_size == 64 * GIB
    assert box.ulimits == {"memlock": -1, "stack": 67_108_864, "nofile": (1024, 4096)}
    assert (box.user, box.ipc, box.network, box.cap_add) == ("root", "private", "host", ("IPC_LOCK",))
    assert box.mounts[-3:] == (
        Mount("/srv/models", "/models", read_only=True, make=False),
        Mount("/home/ada/prompts", "/prompts", make=False),
        Mount("scratch", "/scratch", make=False, options="z"),
    )
    assert box.devices == ("/dev/infiniband", "/dev/fuse:/dev/fuse:rw")
    settings = create_body(box)["HostConfig"]
    assert {"Name": "nofile", "Soft": 1024, "Hard": 4096} in settings["Ulimits"]
    assert settings["Binds"][-3:] == ["/srv/models:/models:ro", "/home/ada/prompts:/prompts", "scratch:/scratch:z"]
    fuse = {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rw"}
    assert settings["Devices"][-1] == fuse


@pytest.mark.parametrize(
    ("text", "size"),
    [("64gb", 64 * GIB), ("10.24gb", int(10.24 * GIB)), ("512m", 512 << 20), ("1024", 1024), ("2GiB", 2 * GIB)],
)
def test_sizes_are_dockers(text: str, size: int) -> None:
    assert size_bytes(text) == size


def test_the_recipes_own_mount_replaces_ours() -> None:
    text = SOLO + "executor_config: {volumes: ['/fast/hf:/root/.cache/huggingface']}\n"
    targets = [mount.target for mount in plan(rendered(text)).ranks[0].container.mounts]
    assert targets.count("/root/.cache/huggingface") == 1
    assert mount_of("~:/h:rw", host(1)) == Mount("/home/ada", "/h", make=False)


def test_an_entrypoint_of_its_own_is_given_the_script() -> None:
    own = create_body(plan(rendered(SOLO + "executor_config: {entrypoint: /opt/nv.sh --x}\n")).ranks[0].container)
    assert own["Entrypoint"] == ["/opt/nv.sh", "--x"] and own["Cmd"] == ["bash", "/run/sparkrun/start.sh"]
    cleared = create_body(plan(rendered(SOLO + "executor_config: {entrypoint: ''}\n")).ranks[0].container)
    assert cleared["Entrypoint"] == ["bash", "/run/sparkrun/start.sh"] and cleared["Cmd"] == []


def test_a_network_of_its_own_opens_the_servers_port() -> None:
    text = SOLO + "executor_config: {network: bridge}\n"
    body = create_body(plan(rendered(text)).ranks[0].container)
    assert body["HostConfig"]["NetworkMode"] == "bridge"
    assert body["HostConfig"]["PortBindings"] == {"8001/tcp": [{"HostPort": "8001"}]}
    assert refused(plan(rendered(text.replace("bridge", "none")))) == ["container-network"]
    assert refused(plan(rendered(VLLM + "executor_config: {network: bridge}\n"), 2)) == ["container-network"]


@pytest.mark.parametrize("option", ["auto_remove: true", "gpus: '1'", "gpu_access_mode: cdi"])
def test_options_of_the_format_that_are_not_carried_out_are_called_so(option: str) -> None:
    what = with_command("vllm serve {model} --port 8001", top=f"executor_config: {{{option}}}")
    (problem,) = [found for found in validate(what.recipe, what) if found.code == "executor-config"]
    key = option.partition(":")[0]
    assert problem.severity is Severity.WARNING
    assert problem.message.startswith(f"`executor_config.{key}` (")
    assert problem.message.endswith(") is not carried out by this program")


def test_options_that_ask_for_what_happens_anyway_are_no_finding() -> None:
    options = "auto_remove: false, gpus: all, gpu_access_mode: gpus"
    what = with_command("vllm serve {model} --port 8001", top=f"executor_config: {{{options}}}")
    assert [found.message for found in validate(what.recipe, what) if found.code == "executor-config"] == []


def test_an_option_that_the_format_does_not_have_is_unknown() -> None:
    what = with_command("vllm serve {model} --port 8001", top="executor_config: {auto_start: true}")
    (problem,) = [found for found in validate(what.recipe, what) if found.code == "executor-config"]
    assert problem.message == "`executor_config.auto_start` is unknown and has no effect"


@pytest.mark.parametrize("user", ["1000", "1000:1000", "vllm"])
def test_users_that_cannot_enter_roots_home_find_the_cache_elsewhere(user: str) -> None:
    what = with_command(
        "llama-server -hf org/x:Q4_K_M", "llama-cpp", "org/x:Q4_K_M", f"executor_config: {{user: '{user}'}}"
    )
    serve = plan(what, gguf_path="/root/.cache/huggingface/hub/x.gguf")
    box = serve.ranks[0].container
    assert box.env["HF_HOME"] == "/cache/huggingface"
    assert "-m /cache/huggingface/hub/x.gguf" in box.script
    assert Mount("/home/ada/.cache/huggingface", "/cache/huggingface") in box.mounts


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("user: '1000'", "private"),
        ("user: 'vllm:video'", "private"),
        ("user: '1000', ipc: host", "host"),
        ("user: root", "host"),
        ("user: '0:0'", "host"),
        ("shm_size: 16gb", "host"),
    ],
)
def test_only_root_shares_the_hosts_memory_by_itself(options: str, expected: str) -> None:
    box = plan(with_command("vllm serve {model}", top=f"executor_config: {{{options}}}")).ranks[0].container
    assert create_body(box)["HostConfig"]["IpcMode"] == expected


def test_a_recipe_that_names_the_other_place_finds_the_cache_there() -> None:
    text = SOLO.replace("{model}", "/cache/huggingface/hub/models--acme--x/snapshots/1")
    mounts = plan(rendered(text)).ranks[0].container.mounts
    assert Mount("/home/ada/.cache/huggingface", "/cache/huggingface") in mounts
    assert mounts[0].target == "/root/.cache/huggingface"
    hooked = plan(rendered(SOLO + "pre_exec: [ls /cache/huggingface/hub]\n")).ranks[0].container.mounts
    assert any(mount.target == "/cache/huggingface" for mount in hooked)
    assert not any(mount.target == "/cache/huggingface" for mount in plan(rendered(SOLO)).ranks[0].container.mounts)


def test_a_cache_that_a_hook_sees_to_is_not_mounted_over_it() -> None:
    hooks = "pre_exec: ['rm -rf /root/.cache/vllm && ln -s /x /root/.cache/vllm', 'ls /root/.cache/huggingface']\n"
    targets = [mount.target for mount in plan(rendered(SOLO + hooks)).ranks[0].container.mounts]
    assert targets == ["/root/.cache/huggingface", "/root/.cache/flashinfer", "/root/.triton", "/cache/runtime"]


def foreign(volume: str, *, privileged: bool = False, kind: SourceKind = SourceKind.REGISTRY) -> ServePlan:
    text = SOLO + f"executor_config: {{volumes: ['{volume}']}}\n"
    what = render(load_text(text, Source(kind, "r.yaml", "arena")), {})
    request = PlanRequest(what, hosts(1), "k3v9wxyz", privileged=privileged)
    return engine_for("vllm").plan(request)


@pytest.mark.parametrize(
    "volume",
    ["/:/host", "/etc:/e", "/etc/../etc/:/e", "/var/run/docker.sock:/s", "~/.ssh:/k:ro", "/root/.ssh:/k", "~:/home"],
)
def test_a_registrys_recipe_does_not_get_the_host(volume: str) -> None:
    assert refused(foreign(volume)) == ["host-mount"]
    assert refused(foreign(volume, privileged=True)) == []
    assert refused(foreign(volume, kind=SourceKind.USER)) == []


@pytest.mark.parametrize("volume", ["/srv/models:/models", "~/models:/m", "named:/m"])
def test_other_mounts_of_a_registrys_recipe_are_a_matter_of_consent(volume: str) -> None:
    assert refused(foreign(volume)) == []


@pytest.mark.parametrize("volume", ["./x:/x", "$HOME/x:/x", "../x:/x"])
def test_paths_that_docker_would_not_take(volume: str) -> None:
    assert refused(plan(rendered(SOLO + f"executor_config: {{volumes: ['{volume}']}}\n"))) == ["volume-path"]


def test_privileged_is_for_the_cluster_to_say() -> None:
    what = rendered(SOLO + "executor_config: {privileged: true, shm_size: lots}\n")
    serve = plan(what)
    assert not serve.ranks[0].container.privileged
    assert [p.severity for p in serve.problems if p.code == "privileged"] == [Severity.WARNING]
    assert refused(serve) == ["executor-config"]
    request = PlanRequest(what, hosts(1), "k3v9wxyz", privileged=True)
    assert "privileged" not in [problem.code for problem in engine_for("vllm").plan(request).problems]


def test_the_scripts_of_eugr_get_what_can_be_handed_to_them() -> None:
    text = SOLO.replace("runtime: vllm", "runtime: eugr-vllm") + OPTIONS.replace("/srv/models", "/srv/my models")
    serve = plan(rendered(text))
    script = serve.stages[-1].scripts[0].script
    line = next(line for line in script.splitlines() if "EXTRA_DOCKER_ARGS" in line)
    for word in (
        f"--shm-size {64 * GIB}",
        "--ulimit nofile=1024:4096",
        "-v /home/ada/prompts:/prompts",
        "--device /dev/fuse:/dev/fuse:rw",
        "--cap-add IPC_LOCK",
        "--user root",
    ):
        assert word in line
    assert "my models" not in line
    messages = [problem.message for problem in serve.problems if problem.code == "executor-config"]
    assert (
        len(messages) == 2 and any("my models" in text for text in messages) and any("ipc" in text for text in messages)
    )


def test_an_unprobed_host_keeps_the_tilde() -> None:
    view = replace(host(1), home="~", probed=False)
    assert mount_of("~/x:/x", view).source == "~/x"
