"""What a recipe may use of the hosts: folders, devices, capabilities. The normal form of each, and its judgement.

Docker gets exactly what is judged here: `container_options` puts each value into its normal form, and the question,
the plan and the launch all use that. Where a link on a host leads cannot be seen from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

from sparkrun_tui.base.regexes import late_regex

_VOLUME_NAME = late_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Judgement(IntEnum):
    """How much of a host a mount exposes."""

    HARMLESS = 0
    """It contains only what the containers have anyway, or what belongs to them alone."""
    SERIOUS = 1
    """It may contain anything: the user is asked, and it is marked."""
    REFUSED = 2
    """It exposes the host, or its user's keys: refused for recipes of others, unless the user insists."""


_HARMLESS = ("~/.cache/huggingface", "~/.cache/sparkrun-tui/engine", "/dev/shm", "/dev/infiniband")
"""Folders, with all below them, that every container of this program has anyway."""
_OWN_SCRATCH = late_regex(r"/tmp/sparkrun[A-Za-z0-9._-]*(/.*)?")
"""Folders that recipes of this format create for themselves."""
_OWN_VOLUME = late_regex(r"sparkrun(?![A-Za-z0-9])")
"""Volumes that recipes of this format create for themselves; others may belong to another program, with its data."""
_REFUSED_TREES = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr",
    "/var/lib", "/var/run", "/var/spool",
)  # fmt: skip
"""Folders of the system, with all below them: changes there run as root, or belong to another program."""
_SYSTEM_DATA = ("/run/media", "/usr/local", "/usr/share", "/var/lib")
"""Folders of the system below which a user may keep data."""
_REFUSED_ALONE = frozenset({"/", "/home", "/root", "/var", "/tmp", "/mnt", "/media", "~"})
"""Folders that contain folders of others; the user may be asked about what is below them."""
_A_HOME = late_regex(r"/home/[^/]+|/root")
_SECRET_PLACE = late_regex(r"(^|/)(\.ssh|\.gnupg|\.aws|\.kube|\.docker)(/|$)|\.sock(et)?$")

HARMLESS_CAPABILITIES = frozenset({
    # What Docker gives every container.
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    # What engines need: locked memory for RDMA, and a priority of their own. Not SYS_PTRACE: serving does not need to
    # read other processes.
    "IPC_LOCK", "SYS_NICE",
})  # fmt: skip
_HARMLESS_DEVICES = late_regex(
    r"/dev/(nvidia[A-Za-z0-9_-]*|nvhost[A-Za-z0-9_-]*|nvmap|kfd|dri|infiniband|null|zero|u?random)"
    r"|/dev/(nvidia-caps|nvidia-caps-imex-channels|dri|infiniband)/[A-Za-z0-9_.:/-]+"
)


def normal_path(path: str) -> str:
    """A path of a host in its normal form: no `//`, `.` or `..`, no slash at the end.

    A leading `~` stays, since each host has its own home; a path that leads out of the home begins with `~/..`. A
    relative path is returned unchanged.
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
    if tilde:
        return "/".join(["~", *parts])
    return "/" + "/".join(parts)


def split_volume(volume: str) -> tuple[str, str, str]:
    """Source, target and options of a volume as written for `-v`."""
    source, _, rest = volume.partition(":")
    target, _, words = rest.partition(":")
    return source, target, words


def normal_volume(volume: str) -> str:
    """A volume with its source in normal form."""
    source, colon, rest = volume.partition(":")
    return f"{normal_path(source)}{colon}{rest}"


def is_source(source: str) -> bool:
    """Whether Docker accepts it: an absolute path, one below `~`, or a volume's name; variables are not filled in."""
    if "$" in source:
        return False
    if source == "~" or source.startswith(("/", "~/")):
        return True
    return _VOLUME_NAME.fullmatch(source) is not None


def on_host(source: str, home: str) -> str:
    """A source in normal form, on a host whose home is `home`."""
    if source == "~" or source.startswith("~/"):
        return normal_path(home + source[1:])
    return normal_path(source)


def judge_source(source: str, home: str = "") -> Judgement:
    """How much a mount of `source` exposes; `home`, the home on a host, is also recognised when written in full."""
    place = _below_home(normal_path(source), home)
    if _VOLUME_NAME.fullmatch(place) is not None:
        if _OWN_VOLUME.match(place):
            return Judgement.HARMLESS
        return Judgement.SERIOUS
    if _SECRET_PLACE.search(place) or _is_refused(place, home):
        return Judgement.REFUSED
    if is_below(place, _HARMLESS) or _OWN_SCRATCH.fullmatch(place):
        return Judgement.HARMLESS
    return Judgement.SERIOUS


def is_below(place: str, folders: Iterable[str]) -> bool:
    """Whether a place is one of some folders, or below one."""
    return any(place == folder or place.startswith(f"{folder}/") for folder in folders)


def no_place_for_data(source: str, home: str = "") -> bool:
    """Whether a refused place is one where no user keeps data: a root, a home as a whole, keys, settings, devices.

    Some folders of the system may hold data that the user has put there.
    """
    place = _below_home(normal_path(source), home)
    if _SECRET_PLACE.search(place) or not is_below(place, _SYSTEM_DATA):
        return True
    return place in _SYSTEM_DATA


def is_risky_mount(volume: str) -> bool:
    """Whether a mount is not known to be harmless."""
    return judge_source(split_volume(volume)[0]) is not Judgement.HARMLESS


def agreed_folders(folders: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The user's `data_dirs` in normal form, and notes about those that are refused.

    Mounts that are refused for recipes of others are refused here too: the root, homes, folders of the system, keys and
    sockets. A mount that exposes a host can be allowed for one launch, never for all.
    """
    agreed: list[str] = []
    refused: list[str] = []
    for folder in folders:
        place = normal_path(folder)
        if "$" in place or not place.startswith(("/", "~/")):
            refused.append(f"data_dirs: `{folder}` must be an absolute path, or begin with ~/")
        elif judge_source(place) is Judgement.REFUSED:
            refused.append(f"data_dirs: `{folder}` is ignored: it would expose the hosts, or folders of other users")
        else:
            agreed.append(place)
    return tuple(agreed), tuple(refused)


def is_agreed(source: str, folders: Sequence[str]) -> bool:
    """Whether a mount of `source` needs no question: it is one of the user's `data_dirs`, or below one.

    Paths are compared as written: `~/models` and `/home/ada/models` may be two places.
    """
    if judge_source(source) is Judgement.REFUSED:
        return False
    agreed, _ = agreed_folders(folders)
    return is_below(normal_path(source), agreed)


def _below_home(place: str, home: str) -> str:
    """A place relative to its home, as `~/…`; `/root` and the folders of `/home` are homes on any host."""
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
        # Settings and start files of the user; for caches the user is asked.
        return not is_below(place, ["~/.cache"])
    return is_below(place, _REFUSED_TREES) and not is_below(place, _HARMLESS)


def normal_device(device: str) -> str:
    """A device as written for `--device`, with its path in normal form."""
    path, colon, rest = device.partition(":")
    return f"{normal_path(path)}{colon}{rest}"


def harmless_device(device: str) -> bool:
    """Whether a device is one that engines use for computing or communication."""
    return _HARMLESS_DEVICES.fullmatch(normal_path(device.partition(":")[0])) is not None


HARMLESS_SECURITY = frozenset({
    "no-new-privileges", "no-new-privileges=true", "apparmor=docker-default", "seccomp=builtin",
})  # fmt: skip
"""Security options that take nothing away from Docker's own protection."""


def harmless_security(option: str) -> bool:
    """Whether a security option leaves Docker's protection of the host as it is, or makes it stronger."""
    return option.replace(":", "=", 1).lower() in HARMLESS_SECURITY


def harmless_capability(name: str) -> bool:
    """Whether a capability is one of Docker's defaults, or one that engines need."""
    return name.upper().removeprefix("CAP_") in HARMLESS_CAPABILITIES
