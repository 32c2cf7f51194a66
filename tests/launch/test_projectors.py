"""The projector of a GGUF model reaches the host with it, also where a cache holds the model from before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.llama_cpp.gguf_files import OWN_PROJECTOR
from sparkrun_tui.launch.plan.model_sources import projector_in, stored_whole
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.remote.hub.downloads import HubError
from sparkrun_tui.remote.ports.models import ModelFile, ModelPlan, ModelRequest, StoredModel, Transfer
from tests.launch.fakes import FakeCluster
from tests.launch.fakes.moving import FakeModels
from tests.launch.virtual import virtual_time

REQUEST = ModelRequest("org/eyes-GGUF", "", (OWN_PROJECTOR,), "Q8_0")
RECIPE = """\
model: org/eyes-GGUF:Q8_0
runtime: llama-cpp
container: acme/llama:1
max_nodes: 1
defaults: {port: 8000}
command: llama-server -hf {model} --port {port}
"""


@dataclass
class Repository(FakeModels):
    """A repository with a projector, and a cache that may lack it."""

    cluster: FakeCluster
    there: tuple[str, ...] = ("eyes-Q8_0.gguf", "mmproj-F16.gguf")
    cached: tuple[str, ...] = ("eyes-Q8_0.gguf",)
    down: bool = False
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        FakeModels.__init__(self, self.cluster)

    def _files(self, names: tuple[str, ...]) -> tuple[ModelFile, ...]:
        return tuple(ModelFile(name, 100, name in self.cached) for name in names)

    async def stored(self, request: ModelRequest) -> StoredModel | None:
        if "eyes-Q8_0.gguf" not in self.cached:
            return None
        return StoredModel(request.repo, "c0ffee", "/hub", self._files(self.cached), "eyes-Q8_0.gguf")  # type: ignore[arg-type]

    async def plan(self, request: ModelRequest, token: Secret | None = None) -> ModelPlan:
        self.asked.append("plan")
        if self.down:
            raise HubError("the Hub cannot be reached", kind="offline")
        return ModelPlan(request.repo, "c0ffee", self._files(self.there))  # type: ignore[arg-type]

    async def fetch(self, request: ModelRequest, token: Secret | None = None) -> AsyncIterator[Transfer | StoredModel]:
        self.asked.append("fetch")
        self.cached = self.there
        yield StoredModel(request.repo, "c0ffee", "/hub", self._files(self.there), "eyes-Q8_0.gguf")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "whole", "asked"),
    [
        ({}, False, ["plan"]),
        ({"cached": ("eyes-Q8_0.gguf", "mmproj-F16.gguf")}, True, []),
        ({"there": ("eyes-Q8_0.gguf",)}, True, ["plan"]),
        ({"down": True}, True, ["plan"]),
        ({"cached": ()}, False, []),
    ],
)
async def test_a_cache_without_the_projector_is_not_whole(
    cluster: FakeCluster, changes: dict[str, object], whole: bool, asked: list[str]
) -> None:
    models = Repository(cluster, **changes)  # type: ignore[arg-type]
    found = await stored_whole(replace(cluster.services, models=models), REQUEST)
    assert (found is not None) is whole
    assert models.asked == asked


def test_which_file_of_a_model_is_its_projector() -> None:
    files = (ModelFile("a/eyes-Q8_0.gguf", 1), ModelFile("mmproj-F16.gguf", 1))
    model = StoredModel("org/eyes-GGUF", "c0ffee", "/hub", files, "a/eyes-Q8_0.gguf")  # type: ignore[arg-type]
    assert projector_in(model, REQUEST) == "mmproj-F16.gguf"
    assert projector_in(model, replace(REQUEST, patterns=())) == ""


@virtual_time
async def test_a_launch_fetches_it_and_passes_its_path(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    models = Repository(cluster)
    services = replace(cluster.services, models=models, shipper=models)
    monkeypatch.setattr(FakeCluster, "services", property(lambda _: services))
    cluster[1].images.add("acme/llama:1")
    launch = cluster.begin(RECIPE)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert "fetch" in models.asked
    (rank,) = launch.plan.serve.ranks
    snapshot = "/root/.cache/huggingface/hub/models--org--eyes-GGUF/snapshots/c0ffee"
    assert f"-m {snapshot}/eyes-Q8_0.gguf --mmproj {snapshot}/mmproj-F16.gguf" in rank.container.script
    await launch.stop()
