"""What moves models about, as protocols: getting one onto the workstation, and sending it to a host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import field
from typing import Protocol

from sparkrun_tui.base.reading.identifiers import Commit
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.models.snapshot import folder_name
from sparkrun_tui.remote.transport import Transport


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A model to have: repository, revision (empty: the default branch), file globs, and a GGUF quantisation.

    With `gguf_quant` only the files of that quantisation are wanted (`Q4_K_M`); `patterns` are then ignored.
    """

    repo: str
    revision: str = ""
    patterns: tuple[str, ...] = ()
    gguf_quant: str = ""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a repository: its name in the repository, its bytes, and whether the cache holds it whole."""

    name: str
    size: int
    cached: bool = False


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What a download would do: the commit it resolves to and the files wanted."""

    repo: str
    commit: Commit
    files: tuple[ModelFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all wanted files."""
        return sum(file.size for file in self.files)

    @property
    def missing(self) -> int:
        """Bytes still to download."""
        return sum(file.size for file in self.files if not file.cached)


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model whole in a Hugging Face cache. `hub` is the folder that holds `models--org--name`.

    `files` are names inside the snapshot; `entry` is the GGUF file to open (the first part), else empty.
    """

    repo: str
    commit: Commit
    hub: str
    files: tuple[ModelFile, ...]
    entry: str = ""
    ref: str = "main"
    """The name under `refs/` that points at the commit; empty when a bare commit was asked for."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def folder(self) -> str:
        """The repository's folder name inside `hub`."""
        return folder_name(self.repo)

    @property
    def snapshot(self) -> str:
        """The snapshot's path relative to `hub`."""
        return f"{self.folder}/snapshots/{self.commit}"


@dataclass(frozen=True, slots=True)
class CacheListing:
    """What a cache holds of a model's revision: files, texts of weight indexes, whether parts lie about.

    `cut` are the names of files that are shorter than they must be.
    """

    commit: Commit
    files: tuple[ModelFile, ...]
    indexes: Mapping[str, str] = field(default_factory=dict)
    partial: bool = False
    cut: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far a transfer is: bytes done, of all (None: not known yet), per second, and what is moving."""

    done: int
    total: int | None
    rate: float | None = None
    detail: str = ""


class ModelSource(Protocol):
    """Gets models onto the workstation."""

    async def plan(self, request: ModelRequest, token: Secret | None = None) -> ModelPlan:
        """Sizes first: what would be downloaded. Raises `SparkrunError` with the remedy (gated, missing, offline)."""

    async def stored(self, request: ModelRequest) -> StoredModel | None:
        """The model when the workstation's cache holds it whole, without asking the Hub; else None."""

    def fetch(self, request: ModelRequest, token: Secret | None = None) -> AsyncIterator[Transfer | StoredModel]:
        """Download what is missing; the last item is the `StoredModel`. Closing the iterator stops the download."""


class Shipper(Protocol):
    """Sends models from the workstation to hosts."""

    async def present(self, model: StoredModel, transport: Transport, hf_cache: str) -> bool:
        """Whether the host's cache (`hf_cache` holds `hub/`) has every file of the model, whole."""

    async def listing(self, request: ModelRequest, transport: Transport, hf_cache: str) -> CacheListing | None:
        """What the host's cache holds of a model, read without the Hub; None when it has none of it."""

    def ship(self, model: StoredModel, transport: Transport, hf_cache: str) -> AsyncIterator[Transfer]:
        """Send what is missing; the last item has done == total. Closing the iterator stops the transfer."""

    async def reaches(self, source: Transport, address: str, boot_id: str) -> bool:
        """Whether a host can send to another at `address` by itself: logged in without a question, rsync on both.

        `boot_id` is what the other host has said of itself. An address that leads to a machine with another one, or a
        host that has said none, is not reached: hosts name their own addresses, and may name those of others.
        """

    def relay(
        self,
        model: StoredModel,
        source: Transport,
        source_cache: str,
        target: Transport,
        target_cache: str,
        address: str,
    ) -> AsyncIterator[Transfer]:
        """Send from one host's cache to another's, over `address`; the last item has done == total.

        Closing the iterator stops the transfer. Raises `HostError`.
        """
