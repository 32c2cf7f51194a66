"""What a host finds in its file system: keys, sshd and Docker configuration, users, and a GB10's tools."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from cluster.spec import CONTROL_IP, DOCKER_GID, REGISTRY, USER, USER_ID, Daemon, HostSpec, host_ip, host_name

HOSTFILES = Path(__file__).with_name("hostfiles")
MAX_HOSTS = 40
RUNTIME = "within-limits"

_SSHD_CONFIG = """\
Port 22
HostKey /etc/ssh/host_key
PidFile none
UsePAM no
StrictModes yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AuthorizedKeysFile .ssh/authorized_keys
Subsystem sftp /usr/lib/openssh/sftp-server
MaxSessions {max_sessions}
MaxStartups {max_startups}
UseDNS no
PrintMotd no
X11Forwarding no
LogLevel VERBOSE
"""


_FOLDERS = (
    "etc/ssh", "etc/docker", "docker", "containerd", "podman", "bin", "log", "disk", "tmp", "root",
    "layer", "work", "boot",
)  # fmt: skip
"""A host's own folders; `layer`, `work` and `boot` are for the root that it boots from."""


def make_key(path: Path, comment: str) -> None:
    """An Ed25519 key pair at `path` and `path`.pub, unless it is there already."""
    if not path.exists():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
        subprocess.run(command, check=True)


def hosts_file() -> str:
    """`/etc/hosts` of every host and of the workstation: all names the cluster can ever have."""
    lines = ["127.0.0.1 localhost", f"{CONTROL_IP} workstation registry hub"]
    lines += [f"{host_ip(index)} {host_name(index)}" for index in range(1, MAX_HOSTS + 1)]
    return "\n".join(lines) + "\n"


def resolv_file() -> str:
    """`/etc/resolv.conf` that refuses at once, so that an unknown name does not cost a time-out."""
    return "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"


def write_host(directory: Path, index: int, spec: HostSpec, public_key: str, cgroup: str) -> str:
    """Lay out a host's directory; returns its line for known_hosts. What is there already stays, as on a disk."""
    for name in (*_FOLDERS, f"home/{USER}"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    (directory / "tmp").chmod(0o1777)
    _write_ssh(directory, index, spec)
    for home, owner in (("root", 0), (f"home/{USER}", USER_ID)):
        _write_home(directory / home, owner, public_key)
    _write_etc(directory / "etc", index, spec)
    (directory / "etc/docker/daemon.json").write_text(json.dumps(_daemon_config(spec, cgroup), indent=1))
    (directory / "log/lastlog").touch()
    _write_tools(directory / "bin", spec)
    key_type, key = (directory / "etc/ssh/host_key.pub").read_text().split()[:2]
    return f"{host_ip(index)},{host_name(index)} {key_type} {key}"


def _write_ssh(directory: Path, index: int, spec: HostSpec) -> None:
    make_key(directory / "etc/ssh/host_key", host_name(index))
    config = _SSHD_CONFIG.format(max_sessions=spec.max_sessions, max_startups=spec.max_startups)
    (directory / "etc/ssh/sshd_config").write_text(config)


def _write_home(home: Path, owner: int, public_key: str) -> None:
    (home / ".ssh").mkdir(mode=0o700, exist_ok=True)
    (home / ".cache/huggingface").mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    authorized = home / ".ssh/authorized_keys"
    authorized.write_text(public_key)
    authorized.chmod(0o600)
    for path in (home, *home.rglob("*")):
        os.lchown(path, owner, owner)


def _write_etc(etc: Path, index: int, spec: HostSpec) -> None:
    """Users and names. `spark` exists on the hosts alone; `*` means no password, where `!` would lock the user."""
    root = spec.root or Path("/")
    users = [line for line in _lines(root / "etc/passwd") if line.split(":")[2] != str(USER_ID)]
    users.append(f"{USER}:x:{USER_ID}:{USER_ID}::/home/{USER}:/bin/bash")
    taken = ("docker", USER)
    groups = [line for line in _lines(root / "etc/group") if line.split(":")[0] not in taken]
    groups += [f"docker:x:{DOCKER_GID}:{USER}", f"{USER}:x:{USER_ID}:"]
    names = [line.split(":")[0] for line in users]
    texts = {
        "passwd": "\n".join(users) + "\n",
        "group": "\n".join(groups) + "\n",
        "shadow": "".join(f"{name}:*:20000::::::\n" for name in names),
        "hosts": hosts_file(),
        "hostname": host_name(index) + "\n",
        "resolv.conf": resolv_file(),
        "meminfo": _meminfo(spec),
    }
    for name, text in texts.items():
        (etc / name).write_text(text)
    (etc / "shadow").chmod(0o600)


def _meminfo(spec: HostSpec) -> str:
    shown = {
        "MemTotal": spec.memory_total_kib,
        "MemAvailable": spec.memory_available_kib,
        "MemFree": spec.memory_available_kib,
    }
    lines = []
    for line in _lines(Path("/proc/meminfo")):
        name = line.partition(":")[0]
        lines.append(f"{name + ':':15}{shown[name]:>9} kB" if name in shown else line)
    return "\n".join(lines) + "\n"


def _daemon_config(spec: HostSpec, cgroup: str) -> dict[str, object]:
    """Docker's settings: no bridge (containers use the host's network), and our registry instead of Docker Hub."""
    runtime = {"path": f"/usr/local/bin/runc-{RUNTIME}"}
    store: dict[str, object] = {"storage-driver": "overlay2"}
    if spec.daemon is Daemon.CONTAINERD:
        store = {"features": {"containerd-snapshotter": True}, "containerd": "/run/containerd/containerd.sock"}
    return store | {
        "data-root": "/srv",
        "exec-root": "/run/docker",
        "pidfile": "/run/docker.pid",
        "hosts": ["unix:///run/docker.sock"],
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "cgroup-parent": f"/{cgroup}/docker",
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "bridge": "none",
        "insecure-registries": [REGISTRY],
        "registry-mirrors": [f"http://{REGISTRY}"],
        "runtimes": {RUNTIME: runtime} | ({"nvidia": runtime} if spec.gpu else {}),
        "default-runtime": RUNTIME,
    }


def _write_tools(directory: Path, spec: HostSpec) -> None:
    for tool in sorted(HOSTFILES.iterdir()):
        if spec.gpu or not tool.name.startswith("nvidia"):
            shutil.copy(tool, directory / tool.name)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()
