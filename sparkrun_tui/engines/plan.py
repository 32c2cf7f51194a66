"""What an engine's plan is made of: containers by rank, the stages they start in, and how to tell that it serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.shell import Text
from sparkrun_tui.base.units import GIB
from sparkrun_tui.recipe.bundled_files.attachments import Brought, Bundle
from sparkrun_tui.recipe.model import Problem, Recipe
from sparkrun_tui.recipe.values.rendered import Rendered

LABEL = "io.sparkrun-tui."
"""Prefix of every container label of ours."""


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
    """What a rank is to its launch."""

    SOLO = "solo"
    HEAD = "head"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Rdma:
    """The RDMA side of a host: device names, their network interfaces, and the RoCE v2 IPv4 GID index of all of them.

    The index is None where it is not known, or the devices do not agree.
    """

    devices: tuple[str, ...]
    interfaces: tuple[str, ...]
    addresses: tuple[str, ...]
    gid_index: int | None


@dataclass(frozen=True, slots=True)
class HostView:
    """What a plan may know of a host. Unprobed, `address` is the name's host part and paths start with `~`."""

    name: str
    address: str
    home: str = "~"
    hf_cache: str = "~/.cache/huggingface"
    """The folder that holds `hub/`, on that host."""
    app_cache: str = "~/.cache/sparkrun-tui"
    gpus: int = 1
    interface: str = ""
    rdma: Rdma | None = None
    has_infiniband: bool = False
    used_ports: frozenset[int] = frozenset()
    probed: bool = False
    relays: bool = False
    """Whether it may send what it holds to other hosts, with its own SSH keys."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of the host seen inside the container, or a Docker volume by its name.

    `make` says that the folder is made, as the user's own, where it is missing; `options` are Docker's (`z`).
    """

    source: str
    target: str
    read_only: bool = False
    make: bool = True
    options: str = ""

    @property
    def suffix(self) -> str:
        """What follows the target in Docker's short form: empty, or `:ro,z`."""
        words = ("ro" if self.read_only else "", self.options)
        text = ",".join(word for word in words if word)
        return f":{text}" if text else ""


@dataclass(frozen=True, slots=True)
class Hook:
    """A shell command of a recipe; `title` tells it apart from others: `pre_exec 1 of 2 (r.yaml:7)`.

    `bundle` are files of this machine that the command finds beside it in the container; `mod` is a mod of eugr's that
    it finds there instead, from the checkout on the host.
    """

    title: str
    command: str
    bundle: Bundle | None = None
    mod: str = ""
    about: str = ""
    """What it does in words, where the command does not say it."""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container to create. It is detached, never removed by itself and never restarted.

    `script` is what it runs, byte for byte, by bash, once each of `before` has ended well. `env` is visible to
    `docker inspect`; `secret_env` reaches the process through a file inside the container that only its user can read.
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
    """A program that is given bash and the script to run; empty: bash itself."""
    publish: tuple[int, ...] = ()
    """Ports to open on the host, where the network is not the host's."""
    before: tuple[Hook, ...] = ()


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
    """A script run on a host itself, outliving the connection (used by engines that delegate)."""

    host: str
    title: str
    script: Text
    files: Mapping[str, str] = field(default_factory=dict)
    """Files written before it runs: path on the host to content."""
    sent: Mapping[str, Bundle] = field(default_factory=dict)
    """Files of this machine written before it runs: a folder on the host to what goes there."""
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
    timeout: float = 180.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Things done at once on all their hosts; the next stage begins when `wait` is met."""

    title: str
    start: tuple[int, ...] = ()
    """Ranks whose containers are created and started."""
    execs: tuple[ContainerExec, ...] = ()
    scripts: tuple[HostScript, ...] = ()
    wait: PortWait | RayNodesWait | None = None
    early: bool = False
    """Whether it comes before image and model, since there is no use for those where it fails."""


@dataclass(frozen=True, slots=True)
class ReadyCheck:
    """How to tell that it serves: health, our model's name, and one token, asked on `host` at `port`."""

    host: str
    port: int
    served_name: str
    health_path: str = "/health"
    models_path: str = "/v1/models"
    meet_timeout: float = 900.0
    """Seconds that ranks may wait for each other in silence before we call it a failure."""


@dataclass(frozen=True, slots=True)
class ModelNeed:
    """The files of a model that the hosts must hold; `patterns` are globs as huggingface_hub takes them."""

    repo: str
    revision: str = ""
    patterns: tuple[str, ...] = ()
    gguf_quant: str = ""
    """The quantisation of a GGUF repository whose files are wanted, exact (`Q4_K_M`)."""


@dataclass(frozen=True, slots=True)
class ServePlan:
    """Everything an engine wants done, as values: compared in tests, printed as the dry run, run by the launch."""

    launch_id: str
    recipe: Recipe
    engine: str
    image: str
    models: tuple[ModelNeed, ...]
    ranks: tuple[RankPlan, ...]
    stages: tuple[Stage, ...]
    ready: ReadyCheck
    stop_grace: float = 20.0
    """Seconds between asking to stop and killing, once it serves; before that it is killed at once."""
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    delegated: str = ""
    """Name of the containers that foreign scripts create on all hosts; then there are no ranks of ours."""
    pull_image: bool = True
    """Whether hosts get the image by pull or stream; False when a stage builds it."""
    after: tuple[Hook, ...] = ()
    """What runs in the head's container once it serves."""
    host_after: tuple[Hook, ...] = ()
    """What runs on the head host itself after that."""
    stop_after: bool = False
    """Whether it is stopped once all of that has run and ended well."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What an engine is given to plan with. `env` and `secret_env` are the recipe's, expanded."""

    rendered: Rendered
    hosts: tuple[HostView, ...]
    launch_id: str
    env: Mapping[str, str] = field(default_factory=dict)
    secret_env: Mapping[str, Secret] = field(default_factory=dict)
    privileged: bool = False
    brought: Brought = field(default_factory=Brought)
    """The files that go into the containers, by the entry of the recipe that asks for them."""
    gguf_path: str = ""
    """The path of the GGUF's first part inside the container, once known."""
    gguf_projector: str = ""
    """The path of its projector there, once known; empty where there is none."""
