"""A Hub that cannot be reached: what lies whole somewhere is used, and only what is nowhere stops a launch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.plan.model_sources import whole_in
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.remote.hub.downloads import HubError
from sparkrun_tui.remote.ports.models import CacheListing, ModelFile, ModelRequest
from tests.launch.fakes import SGLANG_TWO, FakeCluster, rendered
from tests.launch.virtual import virtual_time


@pytest.fixture(autouse=True)
def no_hub(cluster: FakeCluster) -> None:
    cluster.hub_down = True


@virtual_time
async def test_what_this_machine_has_is_sent(cluster: FakeCluster) -> None:
    launch = cluster.begin(SGLANG_TWO)
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    assert [host.actions.count("ship org/tiny") for host in cluster.hosts.values()] == [1, 1]
    await launch.stop()


@virtual_time
async def test_what_every_host_has_needs_nothing_and_is_reported(cluster: FakeCluster) -> None:
    cluster.local_models.clear()
    for host in cluster.hosts.values():
        host.models.add("org/tiny")
    launcher = cluster.launcher()
    seen = await launcher.inspect(launcher.plan(rendered(SGLANG_TWO), cluster.cluster))
    assert next(step for step in seen.steps if step.phase is Phase.MODEL).detail == "on all hosts already"
    launch = launcher.launch(seen)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    text = "cannot be reached; the Hub is not needed, since every host has org/tiny"
    assert any(text in notice.text for notice in state.notices)
    await launch.stop()


@virtual_time
async def test_what_is_not_everywhere_stops_the_launch_before_anything_is_started(cluster: FakeCluster) -> None:
    cluster.local_models.clear()
    launch = cluster.begin(SGLANG_TWO)
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    refusal = "the Hugging Face Hub cannot be reached, and org/tiny is whole neither on this machine nor on "
    assert state.detail == f"{refusal}spark-1 and spark-2"
    assert state.diagnosis is not None and state.diagnosis.repairs[0].title == "Check the network."
    assert [host.actions for host in cluster.hosts.values()] == [[], []]


def listing(*names: str, partial: bool = False) -> CacheListing:
    index = '{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'
    indexes = {name: index for name in names if name.endswith("index.json")}
    return CacheListing("c0ffee", tuple(ModelFile(name, 5) for name in names), indexes, partial)


WHOLE = (
    "config.json", "model.safetensors.index.json", "model-1.safetensors", "model-2.safetensors", "tokenizer.json"
)  # fmt: skip


@pytest.mark.parametrize(
    ("names", "partial", "whole"),
    [
        (WHOLE, False, True),
        (WHOLE, True, False),
        (WHOLE[:3] + WHOLE[4:], False, False),
        (WHOLE[1:], False, False),
        ((), False, False),
    ],
)
def test_a_cache_holds_a_model_when_all_that_its_index_names_is_there(
    names: tuple[str, ...], partial: bool, whole: bool
) -> None:
    found = whole_in(listing(*names, partial=partial), ModelRequest("org/m"))
    assert (found is not None) is whole


def test_a_cache_with_a_file_that_was_cut_off_holds_no_model() -> None:
    seen = listing(*WHOLE)
    for name in WHOLE:
        assert whole_in(replace(seen, cut=frozenset([name])), ModelRequest("org/m")) is None
    assert whole_in(replace(seen, cut=frozenset(["other.safetensors"])), ModelRequest("org/m")) is not None


def test_of_a_gguf_repository_the_quantisation_alone_must_be_there() -> None:
    seen = listing("tiny-Q8_0.gguf", "tiny-F16-00001-of-00002.gguf")
    found = whole_in(seen, ModelRequest("org/m", gguf_quant="Q8_0"))
    assert found is not None and found.entry == "tiny-Q8_0.gguf" and found.size == 5
    assert whole_in(seen, ModelRequest("org/m", gguf_quant="F16")) is None
    assert whole_in(seen, ModelRequest("org/m", gguf_quant="Q4_K_M")) is None


def test_a_refusal_of_the_hub_is_not_an_unreachable_one() -> None:
    assert HubError("x", kind="offline").unreached
    assert not HubError("x", kind="gated").unreached
    assert not HubError("x", kind="missing").unreached
