"""Models in the demo: a Hub that has every model, downloads without bytes, and transfers to simulated hosts."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Mapping

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading.identifiers import Commit
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.units import GIB
from sparkrun_tui.demo.clock import Clock
from sparkrun_tui.demo.host import Host
from sparkrun_tui.remote.ports.models import CacheListing, ModelFile, ModelPlan, ModelRequest, StoredModel, Transfer
from sparkrun_tui.remote.transport import Transport

FETCH_SECONDS = 5.0
SHIP_SECONDS = 5.0
_STEPS = 50
_SHARD = 5 * GIB

Weigh = Callable[[str], int]
"""Bytes of a model's weights, by repository (with `:quant` for a GGUF)."""


class DemoModels:
    """The simulated cache of the workstation and the simulated Hub."""

    def __init__(self, clock: Clock, weigh: Weigh) -> None:
        self._clock = clock
        self._weigh = weigh
        self._cache: set[tuple[str, str, str]] = set()

    async def plan(self, request: ModelRequest, token: Secret | None = None) -> ModelPlan:
        """The files that would be downloaded."""
        cached = _key(request) in self._cache
        sizes = await asyncio.to_thread(self._files, request)
        files = tuple(ModelFile(name, size, cached) for name, size in sizes.items())
        return ModelPlan(request.repo, _commit(request), files)

    async def stored(self, request: ModelRequest) -> StoredModel | None:
        """The model if it was downloaded in this demo; else None."""
        return await self._model(request) if _key(request) in self._cache else None

    async def fetch(self, request: ModelRequest, token: Secret | None = None) -> AsyncIterator[Transfer | StoredModel]:
        """The progress of a simulated download, then the model."""
        model = await self._model(request)
        if _key(request) not in self._cache:
            async for transfer in _moving(self._clock, model, FETCH_SECONDS):
                yield transfer
            self._cache.add(_key(request))
        yield model

    async def _model(self, request: ModelRequest) -> StoredModel:
        sizes = await asyncio.to_thread(self._files, request)
        files = tuple(ModelFile(name, size, True) for name, size in sizes.items())
        entry = next((file.name for file in files if file.name.endswith(".gguf")), "")
        return StoredModel(request.repo, _commit(request), "", files, entry, request.revision or "main")

    def _files(self, request: ModelRequest) -> Mapping[str, int]:
        """Bytes of each file of a model, by file name."""
        name = request.repo.rpartition("/")[2]
        quant = request.gguf_quant
        size = self._weigh(f"{request.repo}:{quant}" if quant else request.repo)
        if quant or "gguf" in name.lower():
            stem = re.sub(r"(?i)[-_]?gguf$", "", name)
            return {f"{stem}-{quant or 'Q4_K_M'}.gguf": size}
        files = {"config.json": 1_843, "tokenizer.json": 11_422_654, "model.safetensors.index.json": 91_244}
        shards = max(1, -(-size // _SHARD))
        for number in range(1, shards + 1):
            files[f"model-{number:05d}-of-{shards:05d}.safetensors"] = size // shards
        return files


class DemoShipper:
    """Sends models to simulated hosts."""

    def __init__(self, clock: Clock, hosts: Mapping[str, Host]) -> None:
        self._clock = clock
        self._hosts = hosts

    async def present(self, model: StoredModel, transport: Transport, hf_cache: str) -> bool:
        """Whether the host has received the model in this demo."""
        return model.snapshot in self._host(transport).models

    async def listing(self, request: ModelRequest, transport: Transport, hf_cache: str) -> CacheListing | None:
        """The files of the model that the host has received in this demo."""
        got = [model for model in self._host(transport).models.values() if model.repo == request.repo]
        return CacheListing(got[0].commit, got[0].files) if got else None

    async def ship(self, model: StoredModel, transport: Transport, hf_cache: str) -> AsyncIterator[Transfer]:
        """Simulate the transfer of a model to a host; its progress."""
        await transport.connect()
        host = self._host(transport)
        async for transfer in _moving(self._clock, model, SHIP_SECONDS):
            yield transfer
        host.models[model.snapshot] = model
        yield Transfer(model.size, model.size)

    async def reaches(self, source: Transport, address: str, boot_id: str) -> bool:
        """False: simulated hosts have no keys for each other."""
        return False

    async def relay(
        self,
        model: StoredModel,
        source: Transport,
        source_cache: str,
        target: Transport,
        target_cache: str,
        address: str,
    ) -> AsyncIterator[Transfer]:
        """Send the model from here. It is not called, since no simulated host reaches another."""
        async for transfer in self.ship(model, target, target_cache):
            yield transfer

    def _host(self, transport: Transport) -> Host:
        host = self._hosts.get(transport.name)
        if host is None:
            raise HostError(f"the demo has no host {transport.name}", host=transport.name)
        return host


async def _moving(clock: Clock, model: StoredModel, seconds: float) -> AsyncIterator[Transfer]:
    ends: list[tuple[int, str]] = []
    total = 0
    for file in model.files:
        total += file.size
        ends.append((total, file.name))
    for step in range(_STEPS):
        done = model.size * step // _STEPS
        name = next((name for end, name in ends if done < end), "")
        yield Transfer(done, model.size, model.size / seconds * clock.speed, name)
        await clock.sleep(seconds / _STEPS)


def _key(request: ModelRequest) -> tuple[str, str, str]:
    return request.repo, request.revision, request.gguf_quant


def _commit(request: ModelRequest) -> Commit:
    if re.fullmatch(r"[0-9a-f]{40}", request.revision):
        return Commit(request.revision)
    return Commit(hashlib.sha1(f"{request.repo}@{request.revision}".encode(), usedforsecurity=False).hexdigest())
