"""What is moved to hosts in memory: images and models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.remote.docker.types import DockerError, ImageProgram
from sparkrun_tui.remote.hub.downloads import HubError
from sparkrun_tui.remote.ports.models import CacheListing, ModelFile, ModelPlan, ModelRequest, StoredModel, Transfer

if TYPE_CHECKING:
    from tests.launch.fakes.cluster import FakeCluster


class FakeImages:
    """`Images` of the fake cluster."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster

    async def pull(self, transport: Any, reference: str) -> AsyncIterator[Transfer]:
        host = self._cluster.hosts[transport.name]
        for done in range(0, 101, 10):
            await asyncio.sleep(0.3)
            host.check()
            if "pull" in host.refuse:
                raise DockerError(host.refuse["pull"], host=host.name, status=404)
            yield Transfer(done, 100, 30.0)
        host.act("pull", reference)
        host.images.add(reference)

    def pull_job(self, reference: str) -> str:
        return "pull-0"

    async def program(self, transport: Any, reference: str, name: str) -> ImageProgram | None:
        self._cluster.looks.append(f"{transport.name}: {name} in {reference}")
        await asyncio.sleep(0.5)
        self._cluster.hosts[transport.name].check()
        return self._cluster.image_program

    async def local(self, reference: str, architecture: str) -> bool:
        return reference in self._cluster.local_images

    async def stream(self, transport: Any, reference: str) -> AsyncIterator[Transfer]:
        host = self._cluster.hosts[transport.name]
        yield Transfer(0, None)
        host.act("stream", reference)
        host.images.add(reference)
        yield Transfer(100, 100)


class FakeModels:
    """`ModelSource` and `Shipper` of the fake cluster."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster

    def _model(self, request: ModelRequest) -> StoredModel:
        names = (
            (f"tiny-{request.gguf_quant}.gguf",)
            if request.gguf_quant
            else ("config.json", "model.safetensors", "tokenizer.json")
        )
        files = tuple(ModelFile(name, 0 if name == "tokenizer.json" else 100, True) for name in names)
        return StoredModel(request.repo, "c0ffee", "/here/hub", files, names[0] if request.gguf_quant else "")

    async def plan(self, request: ModelRequest, token: Secret | None = None) -> ModelPlan:
        if self._cluster.hub_down:
            raise HubError("the Hugging Face Hub cannot be reached", kind="offline", remedy="Check the network.")
        if self._cluster.hub_error:
            raise HostError(self._cluster.hub_error, remedy="Ask for access.")
        held = request.repo in self._cluster.local_models
        files = tuple(replace(file, cached=held) for file in self._model(request).files)
        return ModelPlan(request.repo, "c0ffee", files)

    async def stored(self, request: ModelRequest) -> StoredModel | None:
        return self._model(request) if request.repo in self._cluster.local_models else None

    async def fetch(self, request: ModelRequest, token: Secret | None = None) -> AsyncIterator[Transfer | StoredModel]:
        self._cluster.tokens.append(token)
        for done in (0, 100, 200):
            await asyncio.sleep(1.0)
            yield Transfer(done, 200, 50.0)
        self._cluster.local_models.add(request.repo)
        yield self._model(request)

    async def present(self, model: StoredModel, transport: Any, hf_cache: str) -> bool:
        await asyncio.sleep(0.001)
        self._cluster.hosts[transport.name].check()
        return model.repo in self._cluster.hosts[transport.name].models

    async def reaches(self, source: Any, address: str, boot_id: str) -> bool:
        await asyncio.sleep(0.001)
        self._cluster.hosts[source.name].check()
        return self._cluster.hosts_reach_each_other

    async def relay(
        self, model: StoredModel, source: Any, source_cache: str, target: Any, target_cache: str, address: str
    ) -> AsyncIterator[Transfer]:
        host = self._cluster.hosts[target.name]
        yield Transfer(0, 200)
        await asyncio.sleep(1.0)
        if "relay" in host.refuse:
            raise HostError(host.refuse["relay"], host=host.name)
        host.act("relay", f"{model.repo} from {source.name} at {address}")
        host.models.add(model.repo)
        yield Transfer(200, 200)

    async def listing(self, request: ModelRequest, transport: Any, hf_cache: str) -> CacheListing | None:
        await asyncio.sleep(0.001)
        host = self._cluster.hosts[transport.name]
        host.check()
        model = self._model(request)
        return CacheListing("c0ffee", model.files) if request.repo in host.models else None

    async def ship(self, model: StoredModel, transport: Any, hf_cache: str) -> AsyncIterator[Transfer]:
        host = self._cluster.hosts[transport.name]
        for done in (0, 100, 200):
            await asyncio.sleep(1.0)
            host.check()
            if "ship" in host.refuse:
                raise HostError(host.refuse["ship"], host=host.name)
            yield Transfer(done, 200, 50.0)
        host.act("ship", model.repo)
        host.models.add(model.repo)
