"""Container options as the Engine API is asked for them and as a person would paste them: the same, each of them."""

from __future__ import annotations

import io
import shlex
import subprocess
import tarfile
from pathlib import Path

import pytest

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.plan import ContainerExec, ContainerSpec, Hook, Mount
from sparkrun_tui.launch.plan.archive import container_files, exec_files
from sparkrun_tui.launch.plan.containers import create_body, mount_folders, run_command, whole

SPEC = ContainerSpec(
    name="c",
    image="i:1",
    script="echo served\n",
    mounts=(Mount("~/cache", "/c"), Mount("/srv/a b", "/m", read_only=True, make=False, options="z")),
    devices=("/dev/fuse:/dev/fuse:rw", "/dev/x:r", "/dev/infiniband"),
    ulimits={"memlock": -1, "nofile": (1024, 4096)},
    network="bridge",
    ipc="private",
    entrypoint=("/opt/nv.sh", "--quiet"),
    publish=(8000,),
    before=(Hook("pre_exec", "echo 'a b'"),),
)


def test_the_pasted_command_asks_for_the_same() -> None:
    words = shlex.split(run_command(SPEC).replace("\\\n", " "))
    body = create_body(SPEC)
    host = body["HostConfig"]

    def values(flag: str) -> list[str]:
        return [words[at + 1] for at, word in enumerate(words) if word == flag]

    assert values("-p") == ["8000:8000"]
    assert host["PortBindings"] == {"8000/tcp": [{"HostPort": "8000"}]} and list(body["ExposedPorts"]) == ["8000/tcp"]
    assert values("--ulimit") == ["memlock=-1", "nofile=1024:4096"]
    assert [(item["Soft"], item["Hard"]) for item in host["Ulimits"]] == [(-1, -1), (1024, 4096)]
    assert values("--device") == list(SPEC.devices)
    found = [(item["PathOnHost"], item["PathInContainer"], item["CgroupPermissions"]) for item in host["Devices"]]
    assert found == [
        ("/dev/fuse", "/dev/fuse", "rw"),
        ("/dev/x", "/dev/x", "r"),
        ("/dev/infiniband", "/dev/infiniband", "rwm"),
    ]
    assert [item.replace("$HOME", "~") for item in values("-v")] == host["Binds"] == ["~/cache:/c", "/srv/a b:/m:ro,z"]
    assert values("--entrypoint") == ["/opt/nv.sh"] and words[-5:-1] == ["i:1", "--quiet", "bash", "-c"]
    assert body["Entrypoint"] == ["/opt/nv.sh", "--quiet"] and body["Cmd"] == ["bash", "/run/sparkrun/start.sh"]
    assert words[-1] == whole(SPEC)


def test_only_our_own_folders_are_made() -> None:
    assert mount_folders(SPEC) == '"$HOME"/cache'


@pytest.mark.parametrize(("hook", "code", "said"), [("echo 'a b'", 0, "a b\nserved\n"), ("exit 5", 5, "")])
def test_the_pasted_script_runs_hooks_first(hook: str, code: int, said: str, tmp_path: Path) -> None:
    spec = ContainerSpec("c", "i", SPEC.script, before=(Hook("pre_exec", hook),))
    done = subprocess.run(["bash", "-c", whole(spec)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, said)


@pytest.mark.parametrize(
    ("user", "uid", "secret", "folder"),
    [("", 0, 0o600, 0o755), ("root", 0, 0o600, 0o755), ("1000:100", 1000, 0o600, 0o755), ("vllm", 0, 0o644, 0o777)],
)
def test_the_containers_user_can_read_its_secrets_and_remove_them(
    user: str, uid: int, secret: int, folder: int
) -> None:
    spec = ContainerSpec(
        "c", "i", "x\n", user=user, secret_env={"HF_TOKEN": Secret("s3cr3t-value")}, before=SPEC.before
    )
    for data in (container_files(spec, {}), exec_files("after-1", ContainerExec(0, "post_exec", "y"), spec)):
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            members = {member.name: member for member in tar.getmembers()}
        assert {member.uid for member in members.values()} == {uid}
        assert members["run/sparkrun"].mode == folder
        assert [member.mode for name, member in members.items() if name.endswith("env")] == [secret]
        assert not any(member.mode & 0o022 for name, member in members.items() if name.endswith(".sh"))
