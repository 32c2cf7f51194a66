"""What a recipe may have of the hosts: folders, devices, capabilities. One spelling of each, and how it is judged.

Whatever is judged here is what Docker is given: `container_options` puts each value into its one spelling, and the
question, the plan and the launch all take it from there. Where a link on a host leads cannot be seen from here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum

_VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Judgement(IntEnum):
    """How much of a host a mount gives away."""

    HARMLESS = 0
    """It holds nothing but what the containers have anyway, or what belongs to them alone."""
    GRAVE = 1
    """It may hold anything: the user is asked, and it is marked."""
    REFUSED = 2
    """It gives the host away, or its user's keys: refused to a stranger's recipe, unless its user insists."""


_HARMLESS = ("~/.cache/huggingface", "~/.cache/sparkrun-tui/engine", "/dev/shm", "/dev/infiniband")
"""Folders that every container here has anyway, and what is below them."""
_OWN_SCRATCH = re.compile(r"/tmp/sparkrun[A-Za-z0-9._-]*(/.*)?")
"""Folders that recipes of this format make for themselves."""
_OWN_VOLUME = re.compile(r"sparkrun(?![A-Za-z0-9])")
"""Volumes that recipes of this format make for themselves; any other may be another program's, with all its data."""
_REFUSED_TREES = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr",
    "/var/lib", "/var/run", "/var/spool",
)  # fmt: skip
"""Folders of the system itself, with all below them: what is changed there runs as root, or is another program's."""
_REFUSED_ALONE = frozenset({"/", "/home", "/root", "/var", "/tmp", "/mnt", "/media", "~"})
"""Folders that hold those of others; what is below them may be a matter of a question."""
_A_HOME = re.compile(r"/home/[^/]+|/root")
_SECRET_PLACE = re.compile(r"(^|/)(\.ssh|\.gnupg|\.aws|\.kube|\.docker)(/|$)|\.sock(et)?$")

HARMLESS_CAPABILITIES = frozenset({
    # What Docker gives every container.
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    # What engines need: locked memory for RDMA, and a priority of their own. Not SYS_PTRACE: serving needs no look
    # into other processes.
    "IPC_LOCK", "SYS_NICE",
})  # fmt: skip
_HARMLESS_DEVICES = re.compile(
    r"/dev/(nvidia[A-Za-z0-9_-]*|nvhost[A-Za-z0-9_-]*|nvmap|kfd|dri|infiniband|null|zero|u?random)"
    r"|/dev/(nvidia-caps|nvidia-caps-imex-channels|dri|infiniband)/[A-Za-z0-9_.:/-]+"
)


def normal_path(path: str) -> str:
    """A path of a host in its one spelling: no `//`, `.` or `..`, no slash at the end.

    A leading `~` stays, since each host has its own home; what leads out of it begins with `~/..`. Anything that is no
    whole path is given back as it is.
    """
    tilde = path == "~" or path.startswith("~/")
    if not (tilde or path.startswith("/")):
        return path
    parts: list[str] = []
    for part in path.split("/")[1:]:
        if part in ("", "."):
            continue
        if part != "..":
            parts.append(part)
        elif parts and parts[-1] != "..":
            parts.pop()
        elif tilde:
            parts.append(part)
    return "/".join(["~", *parts]) if tilde else "/" + "/".join(parts)


def split_volume(volume: str) -> tuple[str, str, str]:
    """Source, target and Docker's words of a volume as `-v` takes it."""
    source, _, rest = volume.partition(":")
    target, _, words = rest.partition(":")
    return source, target, words


def normal_volume(volume: str) -> str:
    """A volume with its source in its one spelling."""
    source, colon, rest = volume.partition(":")
    return f"{normal_path(source)}{colon}{rest}"


def is_source(source: str) -> bool:
    """Whether Docker takes it: a whole path, one below `~`, or the name of a volume; no variable is filled in."""
    if "$" in source:
        return False
    whole = source.startswith(("/", "~/")) or source == "~"
    return whole or _VOLUME_NAME.fullmatch(source) is not None


def on_host(source: str, home: str) -> str:
    """A source in its one spelling, on a host whose home is `home`."""
    if source == "~" or source.startswith("~/"):
        return normal_path(home + source[1:])
    return normal_path(source)


def judge_source(source: str, home: str = "") -> Judgement:
    """What a mount of `source` gives away; with `home`, the home on a host, also where it is named in full."""
    place = _below_home(normal_path(source), home)
    if _VOLUME_NAME.fullmatch(place) is not None:
        return Judgement.HARMLESS if _OWN_VOLUME.match(place) else Judgement.GRAVE
    if _SECRET_PLACE.search(place) or _is_refused(place, home):
        return Judgement.REFUSED
    harmless = any(place == folder or place.startswith(f"{folder}/") for folder in _HARMLESS)
    if harmless or _OWN_SCRATCH.fullmatch(place):
        return Judgement.HARMLESS
    return Judgement.GRAVE


def grave_mount(volume: str) -> bool:
    """Whether a mount is none of the few that are known to be harmless."""
    return judge_source(split_volume(volume)[0]) is not Judgement.HARMLESS


def agreed_folders(folders: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The user's `data_dirs`, each in its one spelling, and why others of them cannot be agreed to.

    What is refused to strangers is refused here too: the root, homes, folders of the system, keys and sockets. What
    gives away a host is agreed to for one launch, never for all.
    """
    agreed: list[str] = []
    refused: list[str] = []
    for folder in folders:
        place = normal_path(folder)
        if "$" in place or not place.startswith(("/", "~/")):
            refused.append(f"data_dirs: `{folder}` must be a whole path, or one that begins with ~/")
        elif judge_source(place) is Judgement.REFUSED:
            refused.append(f"data_dirs: `{folder}` gives the hosts away or holds those of others, and is not agreed to")
        else:
            agreed.append(place)
    return tuple(agreed), tuple(refused)


def is_agreed(source: str, folders: Sequence[str]) -> bool:
    """Whether a mount of `source` needs no question, being one of the user's `data_dirs` or below one.

    A path is compared as it is written: `~/models` and `/home/ada/models` may be two places.
    """
    if judge_source(source) is Judgement.REFUSED:
        return False
    place = normal_path(source)
    return any(place == folder or place.startswith(f"{folder}/") for folder in agreed_folders(folders)[0])


def _below_home(place: str, home: str) -> str:
    """The place seen from the home that it is in, as `~/…`; `/root` and those in `/home` are homes on any host."""
    if home.startswith("/") and home != "/":
        whole = on_host(place, home)
        if whole == home or whole.startswith(f"{home}/"):
            return "~" + whole[len(home) :]
        place = whole
    found = _A_HOME.match(place)
    if found is not None and place[found.end() : found.end() + 1] in ("", "/"):
        return "~" + place[found.end() :]
    return place


def _is_refused(place: str, home: str) -> bool:
    if place in _REFUSED_ALONE or place.startswith("~/.."):
        return True
    if f"{home}/".startswith(f"{place}/"):
        return True
    if place.startswith("~/."):
        # Settings and start files of the user; caches are a matter of a question.
        return not (place == "~/.cache" or place.startswith("~/.cache/"))
    inside = any(place == tree or place.startswith(f"{tree}/") for tree in _REFUSED_TREES)
    return inside and not any(place == folder or place.startswith(f"{folder}/") for folder in _HARMLESS)


def normal_device(device: str) -> str:
    """A device as `--device` takes it, its path in its one spelling."""
    path, colon, rest = device.partition(":")
    return f"{normal_path(path)}{colon}{rest}"


def harmless_device(device: str) -> bool:
    """Whether a device is one of those that engines compute and talk with."""
    return _HARMLESS_DEVICES.fullmatch(normal_path(device.partition(":")[0])) is not None


def harmless_capability(name: str) -> bool:
    """Whether a capability is Docker's own default, or one that engines need."""
    return name.upper().removeprefix("CAP_") in HARMLESS_CAPABILITIES
