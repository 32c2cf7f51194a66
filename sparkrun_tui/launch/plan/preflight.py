"""Whether the hosts can run a launch, judged from their probes before anything is changed on them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from sparkrun_tui.base import shell
from sparkrun_tui.base.make_room import room_for_images, room_for_models
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.reading.numbers import major_minor
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import GIB, format_gib
from sparkrun_tui.engines.layout.labels import port_of, rank_of
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.recipe.format.hooks import model_on_hosts
from sparkrun_tui.recipe.names.mounts import Judgement, judge_source, no_place_for_data, on_host
from sparkrun_tui.remote.docker.types import ContainerInfo, ImageInfo
from sparkrun_tui.remote.probe.facts import DockerKind, HostFacts
from sparkrun_tui.remote.probe.model_path import PathKind, PathSeen

HOST_FLOOR = 8 * GIB
"""Bytes of memory that must stay free for the host: with less, a Spark with unified memory stops answering."""

IMAGE_ROOM = 30 * GIB
"""Bytes that pulling and unpacking an engine's image takes, roughly."""

LEAST_ROOM = 5 * GIB
LEAST_FILES = 50_000
"""Inodes that a disk must have free: an engine's image has tens of thousands of files."""

IGNORABLE = {
    "adapter": "the recipe names network adapters that the host does not have",
    "gpu-runtime": "Docker has no GPU runtime",
    "driver": "the GPU's driver is too old, or cannot be asked",
    "gpu": "the host has fewer GPUs than are needed",
    "disk": "the disk has too little room",
    "memory": "the memory is too small",
    "arch": "the hosts have different processors",
    "hosts-differ": "the hosts have different drivers or GPUs",
    "rdma": "the hosts have no RDMA network in common",
    "skew": "the clocks of the hosts differ",
    "host-mount": "a recipe from elsewhere mounts folders of the hosts",
    "mod-missing": "a mod of the recipe is nowhere to be had",
}
"""The checks that the user may ignore, with what they find; the last two are of the recipe, not of a host."""
STRICT = ("docker", "model-path", "port", "running", "tools")
"""The checks that cannot be ignored: nothing can be launched then."""

_SAME = ("recipe-digest", "recipe", "settings", "hosts", "port")
"""Labels that are equal when two launches are the same; ports of Ray may differ."""

_ROOTLESS_HOST_NETWORK = (29, 5)
"""The Docker whose rootless daemon gives containers the host's network (moby/moby#47103)."""

SKEW_WARN = 2.0
SKEW_FAIL = 30.0


class Verdict(StrEnum):
    """Whether a finding stops the launch or only warns."""

    FAIL = "fail"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Finding:
    """A host that is not as the launch needs it: what is wrong, the measured and the needed state, and the remedy."""

    host: str
    code: str
    """The check that found it, one of `IGNORABLE` or `STRICT`."""
    verdict: Verdict
    what: str
    measured: str
    needed: str
    remedy: str

    @property
    def ignorable(self) -> bool:
        """Whether the user may launch nevertheless."""
        return self.code in IGNORABLE

    def __str__(self) -> str:
        return f"{self.what}: {self.measured}, needed: {self.needed}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What Docker on a host reports: its containers, whether it has the image, and the image's CUDA version."""

    containers: Sequence[ContainerInfo] = ()
    has_image: bool = False
    image_cuda: str = ""
    """The CUDA version that the image is built for by its own statement; empty when it has none."""
    model_path: PathSeen | None = None
    """What lies at the path of the model; None where the model is not named by a path."""

    @staticmethod
    def seen(containers: Sequence[ContainerInfo], image: ImageInfo | None) -> Surroundings:
        """The surroundings by what the daemon reported."""
        if image is None:
            return Surroundings(containers)
        env = dict(entry.partition("=")[::2] for entry in image.env)
        return Surroundings(containers, True, env.get("CUDA_VERSION", ""))


def judge(
    plan: LaunchPlan,
    facts: Mapping[str, HostFacts],
    around: Mapping[str, Surroundings],
    memory_needed: int | None = None,
) -> tuple[Finding, ...]:
    """Everything that stops `plan` or is worth a warning, failures first. `memory_needed` is bytes per host."""
    found: list[Finding] = []
    for host in plan.host_names:
        if host in facts:
            found += _host(plan, facts[host], around.get(host, Surroundings()), host, memory_needed)
    head = plan.serve.ready.host
    if head in facts:
        found += _port(plan, facts[head], around, head)
    known = [facts[host] for host in plan.host_names if host in facts]
    found += _together(known)
    uses_nccl = any("NCCL_DEBUG" in rank.container.env for rank in plan.serve.ranks)
    if uses_nccl:
        found += _links(known)
    found += _models_differ(plan, around)
    return _worst_first(found)


def judge_hosts(facts: Mapping[str, HostFacts]) -> tuple[Finding, ...]:
    """What would stop or trouble any launch on these hosts, failures first."""
    found: list[Finding] = []
    for host, known in facts.items():
        found += _docker(known, host)
        found += _gpu(known, Surroundings(), host)
        found += _disk(known, Surroundings(), host)
        found += _tools(known, host)
    found += _together(list(facts.values()))
    found += _links(list(facts.values()))
    return _worst_first(found)


def _worst_first(found: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda finding: finding.verdict is not Verdict.FAIL))


def _host(
    plan: LaunchPlan, facts: HostFacts, around: Surroundings, host: str, memory_needed: int | None
) -> Iterator[Finding]:
    yield from _model_path(plan, facts, around, host)
    yield from _docker(facts, host)
    yield from _gpu(facts, around, host)
    yield from _disk(facts, around, host)
    yield from _adapters(plan, facts, host)
    if memory_needed is not None:
        yield from _memory(facts, host, memory_needed)


def _model_path(plan: LaunchPlan, facts: HostFacts, around: Surroundings, host: str) -> Iterator[Finding]:
    """A model on a path that is not on the host, or not what the engine can load."""
    recipe = plan.rendered.recipe
    model = model_on_hosts(recipe)
    seen = around.model_path
    if model is None or seen is None:
        return
    source = on_host(model.source, facts.home)
    wrong = ""
    if seen.kind is PathKind.MISSING:
        wrong = "it is not there"
    elif seen.kind is PathKind.DENIED:
        wrong = f"{facts.user} may not read it"
    elif seen.kind is PathKind.OTHER:
        wrong = "it is neither a folder nor a file"
    elif model.is_gguf and seen.kind is PathKind.FOLDER:
        wrong = "it is a folder"
    elif seen.lacks:
        wrong = f"the part {seen.lacks[0]} is not there"
    elif seen.kind is PathKind.FOLDER and not seen.config and not seen.sizes and not model.is_gguf:
        wrong = "it holds neither a config.json nor safetensors"
    if wrong:
        remedy = f"Copy the model to {shell.word(source)} on {host}, or correct `model`."
        if seen.kind is PathKind.DENIED:
            remedy = f"On {host}: {shell.words(['ls', '-ld', source])}"
        yield Finding(
            host=host,
            code="model-path",
            verdict=Verdict.FAIL,
            what=f"the model {source} cannot be used",
            measured=wrong,
            needed="a readable model",
            remedy=remedy,
        )
        return
    for place in (seen.real, *seen.leads):
        if not model.volumes or not _leads_astray(place, recipe.source.foreign, facts.home):
            continue
        yield Finding(
            host=host,
            code="model-path",
            verdict=Verdict.FAIL,
            what=f"the model {source} is not mounted",
            measured=f"a link to {place}, which would expose the host",
            needed="a folder of its own",
            remedy="Correct `model`, or the link on the host.",
        )
        return


def _leads_astray(place: str, foreign: bool, home: str) -> bool:
    """Whether a place that a link of a model leads to is none for a model; unknown where the host does not say it."""
    if not place:
        return False
    judgement = judge_source(place, home)
    return judgement is Judgement.REFUSED and (foreign or no_place_for_data(place, home))


def _models_differ(plan: LaunchPlan, around: Mapping[str, Surroundings]) -> Iterator[Finding]:
    """Warnings for hosts whose files at the model's path are not those of the head node."""
    head = plan.serve.ready.host
    first = around.get(head, Surroundings()).model_path
    if first is None or not first.sizes:
        return
    for host in plan.host_names:
        seen = around.get(host, Surroundings()).model_path
        if seen is None or not seen.sizes or seen.sizes == first.sizes:
            continue
        yield Finding(
            host=host,
            code="hosts-differ",
            verdict=Verdict.WARN,
            what=f"the files of {plan.rendered.recipe.model} differ",
            measured=f"{format_gib(sum(seen.sizes.values()))} beside {format_gib(sum(first.sizes.values()))} on {head}",
            needed="the same model on all hosts",
            remedy=f"Copy the model from {head} to {host}.",
        )


def _docker(facts: HostFacts, host: str) -> Iterator[Finding]:
    access = facts.docker_access
    if access != "ok":
        join = shell.words(["sudo", "usermod", "-aG", "docker", facts.user])
        remedies = {
            "denied": f"On {host}: {join}   and log in again",
            "not running": f"On {host}: sudo systemctl start docker",
            "no socket": f"On {host}: install Docker, or set DOCKER_HOST for {shell.word(facts.user)}",
        }
        remedy = remedies.get(access, f"On {host}: docker version")
        yield Finding(
            host=host,
            code="docker",
            verdict=Verdict.FAIL,
            what="Docker cannot be used",
            measured=access,
            needed="access",
            remedy=remedy,
        )
        return
    yield from _docker_kind(facts, host)
    if not facts.gpu_runtime:
        remedy = f"On {host}: sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
        yield Finding(
            host=host,
            code="gpu-runtime",
            verdict=Verdict.FAIL,
            what="Docker has no GPU runtime",
            measured="none",
            needed="nvidia or CDI",
            remedy=remedy,
        )


def _docker_kind(facts: HostFacts, host: str) -> Iterator[Finding]:
    """A Docker that is not the system's: its containers may not have the host's network, nor lock memory.

    Source: moby 29.5, release notes (rootless `--net=host`); docs.docker.com/engine/security/rootless.
    """
    if facts.docker_kind is DockerKind.PODMAN:
        yield Finding(
            host=host,
            code="docker",
            verdict=Verdict.WARN,
            what="Podman answers in Docker's place, with which no launch has been tried",
            measured="Podman",
            needed="Docker",
            remedy=f"On {host}: install Docker, or set DOCKER_HOST to its socket for {shell.word(facts.user)}",
        )
        return
    if facts.docker_kind is not DockerKind.ROOTLESS:
        return
    version = major_minor(facts.docker_version)
    if version is None or version < _ROOTLESS_HOST_NETWORK:
        yield Finding(
            host=host,
            code="docker",
            verdict=Verdict.FAIL,
            what="Docker is rootless: ports of its containers cannot be reached, and hosts cannot reach each other",
            measured=f"rootless Docker {facts.docker_version}",
            needed="the system's Docker, or 29.5",
            remedy=f"On {host}: docker context use default, or update Docker",
        )
        return
    yield Finding(
        host=host,
        code="docker",
        verdict=Verdict.WARN,
        what="Docker is rootless: it can lock memory, as RDMA and llama.cpp's --mlock need, only where the user may",
        measured=f"rootless Docker {facts.docker_version}",
        needed="the system's Docker",
        remedy=f"On {host}: docker context use default, or raise memlock in /etc/security/limits.conf",
    )


_ADAPTERS = ("NCCL_IB_HCA", "UCX_NET_DEVICES", "NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME")
"""Variables that name network adapters of a host."""


def _adapters(plan: LaunchPlan, facts: HostFacts, host: str) -> Iterator[Finding]:
    """A recipe that names adapters of its author's hosts, which this host does not have.

    Names are beginnings, exact behind `=`, and excluded behind `^`; a port may follow. Source: NCCL's user guide,
    NCCL_IB_HCA and NCCL_SOCKET_IFNAME.
    """
    is_alone = len(plan.serve.ranks) < 2
    if is_alone or not facts.interfaces:
        return
    devices = {port.device for port in facts.rdma}
    for rank in plan.serve.ranks:
        if rank.host != host:
            continue
        for name in _ADAPTERS:
            value = rank.container.env.get(name, "")
            has = set(facts.interfaces)
            if name == "NCCL_IB_HCA":
                has = devices
            elif name == "UCX_NET_DEVICES":
                has |= devices
            if not value or value.startswith("^") or value == "all" or _names_one_of(value, has):
                continue
            yield Finding(
                host=host,
                code="adapter",
                verdict=Verdict.WARN,
                what=f"{name} of the recipe names no network adapter of this host",
                measured=clean_line(value)[:60],
                needed=" or ".join(sorted(has)[:4]) or "none: it has no RDMA device that is up",
                remedy=f"Leave {name} out of `env`: it is set for each host by what it has.",
            )


def _names_one_of(value: str, has: Iterable[str]) -> bool:
    """Whether a list of names, or of beginnings of names, fits one of the adapters that are there."""
    is_exact = value.startswith("=")
    for part in value.removeprefix("=").split(","):
        wanted = part.partition(":")[0].strip()
        for there in has:
            if there == wanted or (not is_exact and there.startswith(wanted)):
                return True
    return False


def _tools(facts: HostFacts, host: str) -> Iterator[Finding]:
    """A host that models cannot be sent to."""
    if "rsync" in facts.tools:
        return
    yield Finding(
        host=host,
        code="tools",
        verdict=Verdict.WARN,
        what="rsync is not installed, so no model can be sent there",
        measured="no rsync",
        needed="rsync",
        remedy=f"On {host}: sudo apt-get install rsync",
    )


def _gpu(facts: HostFacts, around: Surroundings, host: str) -> Iterator[Finding]:
    """Warnings, except for a stale driver: it is not visible from here which GPU libraries an image contains."""
    if facts.driver_stale:
        remedy = f"Restart {host}."
        what = "the driver was updated, but the host was not restarted"
        yield Finding(
            host=host,
            code="driver",
            verdict=Verdict.FAIL,
            what=what,
            measured="libraries newer than the driver",
            needed="one version",
            remedy=remedy,
        )
    elif not facts.gpus:
        remedy = f"On {host}: nvidia-smi"
        yield Finding(
            host=host,
            code="gpu",
            verdict=Verdict.WARN,
            what="no GPU was found",
            measured="none",
            needed="a GPU with its driver",
            remedy=remedy,
        )
    has, wants = major_minor(facts.cuda), major_minor(around.image_cuda)
    if has and wants and wants > has:
        yield Finding(
            host=host,
            code="driver",
            verdict=Verdict.WARN,
            what="the image is built for a newer CUDA than the driver's",
            measured=f"driver {facts.driver} with CUDA {facts.cuda}",
            needed=f"CUDA {around.image_cuda}",
            remedy=f"Update the driver of {host}, or use an older image.",
        )


def _disk(facts: HostFacts, around: Surroundings, host: str) -> Iterator[Finding]:
    needs = [("the model cache", facts.hf_cache, LEAST_ROOM, room_for_models(host))]
    if not around.has_image:
        needs.append(("Docker's images", facts.image_root, IMAGE_ROOM, room_for_images(host)))
    for what, path, room, remedy in needs:
        disk = facts.disk_for(path)
        if disk is None:
            continue
        if disk.inodes_free is not None and disk.inodes_free < LEAST_FILES:
            yield Finding(
                host=host,
                code="disk",
                verdict=Verdict.FAIL,
                what=f"no room for more files in {what} ({path})",
                measured=f"{disk.inodes_free:,} inodes free",
                needed=f"{LEAST_FILES:,}",
                remedy=f"On {host}: {shell.words(['df', '-i', '--', path])}",
            )
        if disk.free >= room:
            continue
        verdict = Verdict.FAIL if disk.free < LEAST_ROOM else Verdict.WARN
        yield Finding(
            host=host,
            code="disk",
            verdict=verdict,
            what=f"little room for {what} ({path})",
            measured=f"{format_gib(disk.free)} free",
            needed=format_gib(room),
            remedy=remedy,
        )


def _memory(facts: HostFacts, host: str, needed: int) -> Iterator[Finding]:
    if any(gpu.memory_total for gpu in facts.gpus):
        return
    measured = f"{format_gib(facts.memory_available)} available"
    remedy = "Stop other programs there, lower gpu_memory_utilization, or use more hosts."
    if needed > facts.memory_available:
        yield Finding(
            host=host,
            code="memory",
            verdict=Verdict.FAIL,
            what="not enough memory",
            measured=measured,
            needed=format_gib(needed),
            remedy=remedy,
        )
    elif needed > facts.memory_available - HOST_FLOOR:
        wanted = f"{format_gib(needed)} and {format_gib(HOST_FLOOR)} for the host"
        yield Finding(
            host=host,
            code="memory",
            verdict=Verdict.WARN,
            what="memory will be tight",
            measured=measured,
            needed=wanted,
            remedy=remedy,
        )


def _port(plan: LaunchPlan, facts: HostFacts, around: Mapping[str, Surroundings], host: str) -> Iterator[Finding]:
    """The port of the endpoint taken: bound by a process, or to be bound by an engine of ours that still loads.

    Engines bind their port before their weights are read (vLLM) or when all is done (SGLang), minutes later.
    """
    port = plan.serve.ready.port
    owner = _owner(around.get(host, Surroundings()).containers, port)
    if port not in facts.used_ports and owner is None:
        return
    measured = "taken by another process"
    remedy = "Launch with -o port=…"
    if owner is not None:
        launch = identifiers.launch_id(owner.labels.get(f"{LABEL}launch"))
        if launch is not None and _same_launch(plan, owner):
            yield _runs_already(plan, around, launch, host)
            return
        if owner.name:
            measured = f"taken by container {owner.name}"
        if launch is not None:
            remedy = f"Stop it ({_stop(launch)}), or launch with -o port=…"
    yield Finding(
        host=host,
        code="port",
        verdict=Verdict.FAIL,
        what=f"port {port} is in use",
        measured=measured,
        needed="a free port",
        remedy=remedy,
    )


def _runs_already(plan: LaunchPlan, around: Mapping[str, Surroundings], launch: str, host: str) -> Finding:
    """The launch runs, whole or with ranks that do not: then it does not serve, and has to be launched again."""
    lost = []
    for rank in plan.serve.ranks:
        if rank.host not in around:
            continue
        ours = [item for item in around[rank.host].containers if item.labels.get(f"{LABEL}launch") == launch]
        if not any(item.running for item in ours):
            lost.append(f"rank {rank.rank} on {rank.host}")
    what = f"{plan.rendered.recipe.name} already runs with these settings"
    measured = f"launch {launch} on port {plan.serve.ready.port}"
    needed = "nothing to do"
    remedy = f"See it: {_logs(launch)}   or stop it: {_stop(launch)}"
    if lost:
        what += ", but it is degraded"
        measured = f"{', '.join(lost)} of launch {launch} does not run"
        needed = "to stop it first"
        remedy = f"Stop it, and launch again: {_stop(launch)}"
    return Finding(
        host=host, code="running", verdict=Verdict.FAIL, what=what, measured=measured, needed=needed, remedy=remedy
    )


def _same_launch(plan: LaunchPlan, owner: ContainerInfo) -> bool:
    """Whether a container belongs to a launch of the same recipe with the same settings on the same hosts."""
    return all(owner.labels.get(f"{LABEL}{key}", "") == _label(plan, key) for key in _SAME)


def _stop(launch: str) -> shell.Text:
    return shell.words(["sparkrun-tui", "stop", launch])


def _logs(launch: str) -> shell.Text:
    return shell.words(["sparkrun-tui", "logs", launch, "-f"])


def _owner(containers: Sequence[ContainerInfo], port: int) -> ContainerInfo | None:
    """The running head whose label has this port: Docker lists no ports of containers on the host network.

    Workers carry the port of their head, which is on another host.
    """
    for item in containers:
        if item.running and port_of(item.labels) == port and not rank_of(item.labels):
            return item
    return None


def _label(plan: LaunchPlan, key: str) -> str:
    ranks = plan.serve.ranks
    return ranks[0].container.labels.get(f"{LABEL}{key}", "") if ranks else ""


def _links(known: Sequence[HostFacts]) -> Iterator[Finding]:
    """Hosts that share no RDMA network with some of the others; nothing of hosts whose networks are not known.

    RoCE is not routed, so that NCCL connects two hosts over RDMA only in a network of both.
    """
    networks = {facts.name: {port.network for port in facts.rdma if port.network} for facts in known}
    if not all(networks.values()):
        return
    for name, own in networks.items():
        apart = [other for other, theirs in networks.items() if other != name and not own & theirs]
        if not apart:
            continue
        is_alone = len(apart) == len(networks) - 1
        remedy = "Give ports that are cabled to each other addresses in one network (`ip -br addr` shows them)"
        if not is_alone:
            remedy = "Use a switch, or an image whose NCCL is made for rings of more than three hosts"
        yield Finding(
            host=name,
            code="rdma",
            verdict=Verdict.WARN,
            what=f"no RDMA network in common with {' and '.join(apart[:3])}: NCCL cannot connect them by RDMA",
            measured=", ".join(sorted(own)[:4]),
            needed="a network of both",
            remedy=f"{remedy}; without RDMA: -o env.NCCL_NET=Socket",
        )


def _together(known: Sequence[HostFacts]) -> Iterator[Finding]:
    """What differs between hosts that are to serve together; the first is the head node."""
    if len(known) < 2:
        return
    head, *others = known
    for other in others:
        if other.arch != head.arch:
            yield Finding(
                host=other.name,
                code="arch",
                verdict=Verdict.FAIL,
                what="hosts have different CPU architectures",
                measured=f"{other.arch} beside {head.arch}",
                needed="one architecture",
                remedy="Choose hosts of one kind.",
            )
        if other.driver and head.driver and other.driver != head.driver:
            yield Finding(
                host=other.name,
                code="hosts-differ",
                verdict=Verdict.WARN,
                what="GPU drivers differ",
                measured=f"{other.driver} beside {head.driver} on {head.name}",
                needed="the same",
                remedy="Update the older one.",
            )
    yield from _skew(known)


def _skew(known: Sequence[HostFacts]) -> Iterator[Finding]:
    clocks = {facts.name: facts.clock_skew for facts in known if facts.clock_skew is not None}
    if len(clocks) < 2:
        return
    spread = max(clocks.values()) - min(clocks.values())
    if spread > SKEW_WARN:
        late = max(clocks, key=lambda name: abs(clocks[name]))
        verdict = Verdict.FAIL if spread > SKEW_FAIL else Verdict.WARN
        yield Finding(
            host=late,
            code="skew",
            verdict=verdict,
            what="clocks of the hosts differ",
            measured=f"{spread:.0f} s apart",
            needed=f"under {SKEW_WARN:.0f} s",
            remedy=f"On {late}: sudo timedatectl set-ntp true",
        )
