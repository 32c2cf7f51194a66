"""Hosts, clusters and what runs there as JSON."""

from __future__ import annotations

from typing import Annotated, TypedDict

from sparkrun_tui.base.quantities import Bytes, Count, Moment, Number, Percent, Seconds, Tokens, TokensPerSecond
from sparkrun_tui.fleet.model import Health
from sparkrun_tui.fleet.stop import Outcome
from sparkrun_tui.launch.plan.preflight import Verdict
from sparkrun_tui.remote.transport import LinkState


class PreparingJson(TypedDict):
    """The launch that prepares a host."""

    launch_id: str | None
    user: str
    age: Seconds


class HostJson(TypedDict):
    """A host; what one that was not reached does not say is null."""

    name: str
    link: LinkState
    detail: str | None
    note: str | None
    docker: str | None
    memory_total: Bytes | None
    memory_available: Bytes | None
    gpus: Annotated[list[str] | None, "Their names."]
    preparing: PreparingJson | None


class RankJson(TypedDict):
    """One container of a workload."""

    rank: Number
    role: str
    host: str
    container: Annotated[str, "Its name."]
    container_id: str
    state: Annotated[str, "Docker's word."]
    started: Moment | None
    exit_code: Number | None
    oom_killed: bool


class WorkloadJson(TypedDict):
    """A model that is served, or that was."""

    launch_id: Annotated[str | None, "null for workloads of other tools."]
    recipe: str
    engine: str | None
    model: str | None
    served_name: str | None
    port: Number | None
    health: Health
    detail: str | None
    ours: bool
    expected_ranks: Count
    ranks: list[RankJson]


class FleetJson(TypedDict):
    """The hosts, and what runs on them."""

    cluster: str
    taken: Annotated[Moment, "When the hosts were asked."]
    hosts: list[HostJson]
    workloads: list[WorkloadJson]


class RankStoppedJson(TypedDict):
    """What became of one container."""

    host: str
    rank: Number
    outcome: Outcome
    detail: str | None
    note: Annotated[str | None, "What is left on the host beside the container."]


class StoppedJson(TypedDict):
    """What became of one workload."""

    launch_id: str | None
    recipe: str | None
    complete: Annotated[bool, "Whether every rank was seen to be gone."]
    ranks: list[RankStoppedJson]
    unseen: Annotated[list[str], "Hosts that were not reached and may hold further ranks."]


class AnswerJson(TypedDict):
    """An answer of a served model."""

    launch_id: str | None
    recipe: str
    model: str
    text: str
    reasoning: Annotated[str, "What the model thought before it answered."]
    end: Annotated[str, "Why it ended: `stop`, `length`, or the server's word."]
    tokens: Tokens
    exact: Annotated[bool, "Whether the server counted the tokens; else pieces of text were counted."]
    prompt_tokens: Tokens | None
    first_after: Annotated[Seconds | None, "Until the first piece."]
    seconds: Annotated[Seconds, "From the first piece to the last."]
    tokens_per_second: TokensPerSecond | None


class SnippetJson(TypedDict):
    """Code that calls a server."""

    kind: str
    text: str
    url: str
    model: str
    key_variable: Annotated[str | None, "The variable that must hold the API key, where the server wants one."]


class ClusterJson(TypedDict):
    """A saved cluster."""

    name: str
    hosts: Annotated[list[str], "The first is the head node."]
    description: str
    gpus_per_host: Count
    privileged: bool
    host_to_host: bool
    hf_cache: str | None
    guard_floor: Annotated[Bytes | None, "Where the memory guard acts; 0 is off, null is what the host makes it."]
    source: str
    default: bool


class RemovedJson(TypedDict):
    """What is gone from the settings."""

    name: str


class DiskJson(TypedDict):
    """A file system."""

    path: str
    free: Bytes
    total: Bytes


class GpuJson(TypedDict):
    """A GPU; what its driver does not say is null."""

    name: str
    memory_total: Bytes | None
    utilisation: Percent | None


class RdmaJson(TypedDict):
    """An RDMA device that is up."""

    device: str
    interface: str
    address: str
    network: str
    gid_index: Number | None


class CheckJson(TypedDict):
    """Something that a launch would lack, with its remedy."""

    code: str
    verdict: Verdict
    what: str
    measured: str
    needed: str
    remedy: str


class SilentHost(TypedDict):
    """A host that did not answer."""

    host: str
    error: str
    remedy: str | None
    says: Annotated[str | None, "What it says at the login."]
    shell_says: Annotated[str | None, "What its login shell prints into every command."]


class CheckedHost(TypedDict):
    """What a host has, and what a launch would lack there."""

    host: str
    error: None
    hostname: str
    arch: str
    kernel: str
    user: str
    home: str
    hf_cache: str
    clock_skew: Annotated[Seconds | None, "How far its clock is ahead."]
    round_trip: Seconds
    memory_total: Bytes
    memory_available: Bytes
    swap_free: Bytes
    disks: list[DiskJson]
    gpus: list[GpuJson]
    driver: str
    cuda: str
    docker: str
    docker_access: str
    gpu_runtime: bool
    interface: str
    address: str
    rdma: list[RdmaJson]
    tools: list[str]
    findings: list[CheckJson]
    says: Annotated[str | None, "What it says at the login."]
    shell_says: Annotated[str | None, "What its login shell prints into every command."]


class PathsJson(TypedDict):
    """The files and folders that are used."""

    settings: str
    registries: str
    recipes: Annotated[str, "Your own recipes."]
    launches: Annotated[str, "Journals and logs of launches."]
    cache: str
    sparkrun: Annotated[str, "Settings of the sparkrun CLI, which are only read."]
