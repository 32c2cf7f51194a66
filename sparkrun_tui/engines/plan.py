"""The parts of an engine's plan: containers by rank, the stages they start in, and the check that it serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.shell import Text
from sparkrun_tui.base.units import GIB
from sparkrun_tui.recipe.bundled_files.attachments import Attachments, Bundle
from sparkrun_tui.recipe.model import Problem, Recipe
from sparkrun_tui.recipe.values.rendered import Rendered

LABEL = "io.sparkrun-tui."
"""Prefix of every container label that this program writes."""


class Phase(StrEnum):
    """The columns of a launch, in order."""

    CHECK = "check"
    IMAGE = "image"
    MODEL = "model"
    START = "start"
    LOAD = "load"
    COMPILE = "compile"
    GRAPHS = "graphs"
    READY = "ready"


class Role(StrEnum):
    """The role of a rank in its launch."""

    SOLO = "solo"
    HEAD = "head"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Rdma:
    """The RDMA devices of a host, their network interfaces and addresses, and the RoCE v2 IPv4 GID index of all.

    The index is None where it is not known or differs between the devices. `networks` are the IPv4 networks of the
    addresses, in their order (`192.168.100.0/24`), empty texts where they are not known.
    """

    devices: tuple[str, ...]
    interfaces: tuple[str, ...]
    addresses: tuple[str, ...]
    gid_index: int | None
    networks: tuple[str, ...] = ()

    @property
    def network_of_each(self) -> tuple[str, ...]:
        """The networks, one for each device; an empty text where it is not known."""
        return (*self.networks, *[""] * (len(self.devices) - len(self.networks)))


@dataclass(frozen=True, slots=True)
class HostView:
    """What a plan knows of a host. For an unprobed host, `address` is the host part of its name, and paths start
    with `~`.
    """

    name: str
    address: str
    home: str = "~"
    hf_cache: str = "~/.cache/huggingface"
    """The folder on that host that holds `hub/`."""
    app_cache: str = "~/.cache/sparkrun-tui"
    gpus: int = 1
    interface: str = ""
    rdma: Rdma | None = None
    has_infiniband: bool = False
    used_ports: frozenset[int] = frozenset()
    gpu_name: str = ""
    """The name of its first GPU; empty without one, and where it was not asked."""
    memory: int | None = None
    """Bytes of a GPU's memory, or of the host's where they are the same."""
    unified: bool | None = None
    """Whether GPU and programs share the host's memory; None where it was not asked."""
    probed: bool = False
    boot_id: str = ""
    """The kernel's word for the present boot of the machine, by which one that claims to be it is told apart."""
    relays: bool = False
    """Whether it may send its files to other hosts, with its own SSH keys."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of the host mounted in the container, or a Docker volume by its name.

    With `make`, a missing folder is created with the user as its owner; `options` are Docker's (`z`).
    """

    source: str
    target: str
    read_only: bool = False
    make: bool = True
    options: str = ""

    @property
    def suffix(self) -> str:
        """What follows the target in Docker's short form: empty, or `:ro,z`."""
        words = []
        if self.read_only:
            words.append("ro")
        if self.options:
            words.append(self.options)
        if not words:
            return ""
        return ":" + ",".join(words)


@dataclass(frozen=True, slots=True)
class Hook:
    """A shell command of a recipe; `title` names it and its place: `pre_exec 1 of 2 (r.yaml:7)`.

    `bundle` holds files of this machine that are copied beside the command into the container; `mod` names one of
    eugr's mods, which is taken from the checkout on the host instead.
    """

    title: str
    command: str
    bundle: Bundle | None = None
    mod: str = ""
    about: str = ""
    """What it does, in words, where the command itself does not show it."""
    timeout: float | None = None
    """Seconds that it may take; None where the recipe does not say, 0 for any time."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that only this command gets, about the launch and its host."""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container to create. It runs detached, and Docker does not remove it.

    bash runs `script`, byte for byte, after each of `before` has succeeded. `env` is visible to `docker inspect`;
    `secret_env` reaches the process through a file inside the container that only its user can read.
    """

    name: str
    image: str
    script: str
    labels: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    secret_env: Mapping[str, Secret] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    devices: tuple[str, ...] = ()
    gpus: bool = True
    network: str = "host"
    ipc: str = "host"
    shm_size: int = int(10.24 * GIB)
    ulimits: Mapping[str, int | tuple[int, int]] = field(default_factory=lambda: {"memlock": -1, "stack": 67_108_864})
    """Limits by name: one number, or the soft and the hard one."""
    cap_add: tuple[str, ...] = ()
    privileged: bool = False
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    """A program that gets bash and the script as its arguments; empty where bash is started directly."""
    publish: tuple[int, ...] = ()
    """Ports to open on the host, where the network is not the host's."""
    before: tuple[Hook, ...] = ()
    memory: int = 0
    """The most bytes of memory; 0 where there is no limit."""
    restart: str = ""
    """When Docker restarts it (`on-failure:3`); empty for never."""
    security_opt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RankPlan:
    """One rank: its host, its role and its container."""

    rank: int
    host: str
    role: Role
    container: ContainerSpec


@dataclass(frozen=True, slots=True)
class ContainerExec:
    """A script run inside the container of `rank`; with `to_log` its output goes to the container's own log."""

    rank: int
    title: str
    script: str
    to_log: bool = True


@dataclass(frozen=True, slots=True)
class HostScript:
    """A script run on a host itself, which goes on when the connection ends (used by engines that delegate)."""

    host: str
    title: str
    script: Text
    files: Mapping[str, str] = field(default_factory=dict)
    """Files written before it runs: path on the host to content."""
    sent: Mapping[str, Bundle] = field(default_factory=dict)
    """Files of this machine written before it runs: folder on the host to the files that go there."""
    secret_files: Mapping[str, Mapping[str, Secret]] = field(default_factory=dict)
    """Environment files of Docker's form (`NAME=value`, mode 0600) written before it runs; the script removes them."""


@dataclass(frozen=True, slots=True)
class PortWait:
    """Wait until `port` answers on `address`, asked from the host of rank 0; seconds."""

    address: str
    port: int
    timeout: float = 120.0


@dataclass(frozen=True, slots=True)
class RayNodesWait:
    """Wait until the Ray cluster of the head's container counts `nodes` nodes; seconds."""

    rank: int
    nodes: int
    address: str
    token: bool = False
    """Whether the cluster has a password, which its processes have in `RAY_AUTH_TOKEN`."""
    timeout: float = 180.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Work done on all its hosts at the same time; the next stage begins when `wait` is met."""

    title: str
    start: tuple[int, ...] = ()
    """Ranks whose containers are created and started."""
    execs: tuple[ContainerExec, ...] = ()
    scripts: tuple[HostScript, ...] = ()
    wait: PortWait | RayNodesWait | None = None
    early: bool = False
    """Whether it comes before image and model, which are not needed where it fails."""


KEY_VARIABLE = "API_KEY"
"""The variable that commands to paste take a key from, where it has none of its own."""


@dataclass(frozen=True, slots=True)
class ServerKey:
    """The API key that a server wants of its clients.

    `wanted` says whether its command or its environment gives it any; `secret` is None where the value is not known,
    `file` the path in its container of a file with keys. `variable` is what commands to paste take the key from.
    """

    wanted: bool = False
    secret: Secret | None = None
    file: str = ""
    variable: str = KEY_VARIABLE


NO_KEY = ServerKey()


HEALTH_PATH = "/health"
"""The path that all engines here answer with success once they serve."""


@dataclass(frozen=True, slots=True)
class ReadyCheck:
    """The check that the engine serves: health, the model's name, and one answer, asked on `host` at `port`."""

    host: str
    port: int
    served_name: str
    health_path: str = HEALTH_PATH
    models_path: str = "/v1/models"
    meet_timeout: float = 900.0
    """Seconds that ranks may wait for each other without output before the launch fails."""
    port_timeout: float = 0.0
    """Seconds until something answers at the port; 0 where there is no limit."""
    health_timeout: float = 0.0
    """Seconds from the first answer until the health path answers with success; 0 where there is no limit."""
    timeout: float = 0.0
    """Seconds until the health path answers with success, from the start; 0 where there is no limit."""
    token: bool = True
    """Whether one token is asked for."""
    token_path: str = ""
    """The path that is asked for it; empty to try those that servers have."""
    token_timeout: float = 900.0
    """Seconds that the first token may take: with several hosts the engine compiles first."""
    prompt: str = "Hi"
    key: ServerKey = NO_KEY
    offers: str = ""
    """What it answers, as a name of `engines.offers`, where its command says so; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class ModelNeed:
    """The files of a model that the hosts must hold; `patterns` are globs as huggingface_hub takes them."""

    repo: str
    revision: str = ""
    patterns: tuple[str, ...] = ()
    gguf_quant: str = ""
    """The quantisation of a GGUF repository whose files are wanted, exact (`Q4_K_M`)."""


def delegated_name(launch_id: str) -> str:
    """The name of the containers of a delegated launch, unique to it: the scripts would reuse a running container."""
    return f"sparkrun-tui-{launch_id}"


@dataclass(frozen=True, slots=True)
class ServePlan:
    """All the work of a launch as values: compared in tests, printed by the dry run, carried out by the launch."""

    launch_id: str
    recipe: Recipe
    engine: str
    image: str
    models: tuple[ModelNeed, ...]
    ranks: tuple[RankPlan, ...]
    stages: tuple[Stage, ...]
    ready: ReadyCheck
    stop_grace: float = 20.0
    """Seconds between the request to stop and the kill, once it serves; before that it is killed immediately."""
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    by_scripts: bool = False
    """Whether another project's scripts create the containers; the plan has no ranks then."""
    pull_image: bool = True
    """Whether hosts get the image by pull or stream; False when a stage builds it."""
    after: tuple[Hook, ...] = ()
    """Commands that run in the head node's container once it serves."""
    host_after: tuple[Hook, ...] = ()
    """Commands that run on the head node itself after those."""
    asks_ray: bool = False
    """Whether the image is asked for Ray before the model is sent: the plan may become another one, or fail."""
    stop_after: bool = False
    """Whether the workload is stopped once all of these have succeeded."""

    @property
    def delegated(self) -> str:
        """The name of the containers that another project's scripts create on all hosts; empty where there are none.

        It follows from the launch's id. A container's labels and name may be anybody's, and the cleanup removes what
        has this name on every host.
        """
        if not self.by_scripts:
            return ""
        return delegated_name(self.launch_id)

    def image_on(self, host: str) -> str:
        """The image that a host runs: that of its container, else the plan's."""
        for rank in self.ranks:
            if rank.host == host:
                return rank.container.image
        return self.image

    @property
    def images(self) -> tuple[str, ...]:
        """All images of the plan, each once, that of the head first."""
        if not self.ranks:
            return (self.image,)
        return tuple(dict.fromkeys(rank.container.image for rank in self.ranks))


@dataclass(frozen=True, slots=True)
class ImageRay:
    """What is known of Ray in an image: whether it is there (None: not known), and its version (empty: not known).

    `token` is the password of the launch's Ray cluster, where this version knows one.
    """

    has: bool | None = None
    version: str = ""
    token: Secret | None = None


UNKNOWN_RAY = ImageRay()


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """The input of an engine's plan. `env` and `secret_env` are the recipe's, expanded."""

    rendered: Rendered
    hosts: tuple[HostView, ...]
    launch_id: str
    env: Mapping[str, str] = field(default_factory=dict)
    secret_env: Mapping[str, Secret] = field(default_factory=dict)
    privileged: bool = False
    attachments: Attachments = field(default_factory=Attachments)
    """The files to copy into the containers, by the entry of the recipe that names them."""
    model_path: str = ""
    """The path of the model's folder or GGUF file inside the container, once known."""
    model_commit: str = ""
    """The commit of the model, once known."""
    gguf_path: str = ""
    """The path of the GGUF's first part inside the container, once known."""
    ray: ImageRay = UNKNOWN_RAY
    """What is known of Ray in the image."""
    gguf_projector: str = ""
    """The path of its projector inside the container, once known; empty where there is none."""
