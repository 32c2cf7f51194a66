"""What is measured: a workload as its hosts, its container and its image are now, and the way to its server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.reading.decoded import ShapeError, decode_json
from sparkrun_tui.base.reading.json_text import JsonError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.engines.offers import TEXT
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.launch.bench.measuring import Server
from sparkrun_tui.launch.bench.result import Measured, MeasuredHost
from sparkrun_tui.launch.services import Services
from sparkrun_tui.models.snapshot import find_snapshot
from sparkrun_tui.models.store import is_repository
from sparkrun_tui.remote.docker.types import ContainerInfo
from sparkrun_tui.remote.hub.cache import files_in
from sparkrun_tui.remote.hub.place import hub_folder
from sparkrun_tui.remote.probe.facts import HostFacts

_MOST_OVERRIDES = 100


class Rank(Protocol):
    """One container of a workload."""

    @property
    def host(self) -> str:
        """The host that it runs on."""

    @property
    def container_id(self) -> str:
        """Its id on that host."""


class Workload(Protocol):
    """What a survey says of a workload (`fleet.model.Workload`); its head is the first of `ranks`."""

    @property
    def recipe(self) -> str:
        """The name of its recipe."""

    @property
    def model(self) -> str:
        """Its model."""

    @property
    def served_name(self) -> str:
        """The name by which its server knows the model; empty: the model's own."""

    @property
    def engine(self) -> str:
        """Its engine."""

    @property
    def launch_id(self) -> str:
        """The id of its launch; empty for one of another program."""

    @property
    def ranks(self) -> Sequence[Rank]:
        """Its containers."""

    @property
    def address(self) -> str:
        """Where its server answers, as the head host sees it."""

    @property
    def port(self) -> int | None:
        """The port of its server, None when it is not known."""

    @property
    def offers(self) -> str:
        """What its server answers, a name of `engines.offers`; empty when that is not known."""


def check(workload: Workload) -> None:
    """Raises `LaunchError` for a workload that cannot be measured: it does not serve, or writes no text."""
    if workload.port is None or not workload.ranks:
        raise LaunchError(f"{workload.recipe} is not serving")
    if workload.offers and workload.offers not in TEXT:
        raise LaunchError(f"{workload.recipe} writes no text, which is what is measured")


async def look_at(workload: Workload, services: Services, paths: Sequence[str], key: Secret | None) -> Subject:
    """Ask the hosts; a host that does not answer is in the result by its name alone.

    `paths` are those whose disks a probe measures. Raises `LaunchError`, and `HostError` when the head does not answer.
    """
    check(workload)
    assert workload.port is not None
    rank = workload.ranks[0]
    head = services.connector(rank.host)
    await head.connect()
    docker = services.docker(head)
    info = await docker.inspect(rank.container_id)
    digest = ""
    if info is not None and info.image_id:
        image = await docker.image(info.image_id)
        if image is not None:
            digest = next((name.rpartition("@")[2] for name in image.digests), image.id)
    names = dict.fromkeys(rank.host for rank in workload.ranks)
    hosts = await asyncio.gather(*(_host(name, services, paths) for name in names))
    measured = Measured(
        recipe=workload.recipe,
        model=workload.model,
        engine=workload.engine,
        launch_id=workload.launch_id,
        recipe_digest=_label(info, "recipe-digest"),
        overrides=_overrides(_label(info, "settings")),
        image=info.image if info is not None else "",
        image_digest=digest,
        hosts=tuple(hosts),
    )
    name = workload.served_name or workload.model
    server = Server(head, workload.address, workload.port, name, tokenizer_of(workload.model or name), key)
    return Subject(server, measured)


@dataclass(frozen=True, slots=True)
class Subject:
    """The way to a server, and what is measured there."""

    server: Server
    measured: Measured


async def _host(name: str, services: Services, paths: Sequence[str]) -> MeasuredHost:
    try:
        transport = services.connector(name)
        await transport.connect()
        facts = await services.probe(transport, paths, ())
    except HostError:
        # What a host is was not learnt; its name is all that the result has.
        return MeasuredHost(name)
    return _of_facts(name, facts)


def _of_facts(name: str, facts: HostFacts) -> MeasuredHost:
    gpu = facts.gpus[0].name if facts.gpus else ""
    return MeasuredHost(name, gpu, facts.driver, facts.memory_total, facts.kernel)


def _label(info: ContainerInfo | None, name: str) -> str:
    if info is None:
        return ""
    return clean_line(info.labels.get(f"{LABEL}{name}", ""))


def _overrides(text: str) -> Mapping[str, str]:
    """The overrides in a label, which the host may have made up; empty where they cannot be read."""
    try:
        fields = decode_json(text or "{}").fields(_MOST_OVERRIDES)
        return {clean_line(key): clean_line(value.text()) for key, value in fields.items()}
    except (JsonError, ShapeError):
        return {}


def tokenizer_of(model: str, hub: Path | None = None) -> str:
    """By what tokens are counted: the file in this machine's cache, else the repository; without the GGUF's `:QUANT`.

    Empty where the model is no repository. One of GGUF files has no `tokenizer.json`: the client then counts
    approximately, and says so.
    """
    repo = model.partition(":")[0]
    if not is_repository(repo):
        # A label is no path of this machine: an endless file would be read, too.
        return ""
    here = hub or hub_folder()
    snapshot = find_snapshot(here, repo)
    # A link that leads out of the cache is no file of the model.
    if snapshot is not None and any(file.name == "tokenizer.json" for file in files_in(here, repo, snapshot.commit)):
        return str(snapshot.path / "tokenizer.json")
    return repo
