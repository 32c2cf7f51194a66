"""Headers of models in this machine's cache: read without being asked for, and without the network."""

from __future__ import annotations

from pathlib import Path

from sparkrun_tui.launch.sizing.headers_here import HeadersHere
from sparkrun_tui.launch.sizing.sizing import size
from sparkrun_tui.models.digest import Digest
from sparkrun_tui.models.store import LocalFacts
from sparkrun_tui.remote.hub.downloads import HubError
from tests.launch.fakes import rendered
from tests.support.made_cache import COMMIT, hub_here, put_model

REPO = "acme/tiny"
RECIPE = f"model: {REPO}\nruntime: vllm\ncontainer: x:1\ncommand: vllm serve {{model}}\n"
DRAFTED = """\
model: acme/tiny
runtime: vllm
container: x:1
command: |
  vllm serve {model} --speculative-config '{{"method": "eagle3", "model": "acme/draft"}}'
"""


class Counting:
    """A reader that only counts, and refuses."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def read_here(self, model: str, revision: str = "") -> Digest | None:
        self.asked.append((model, revision))
        raise HubError("it has no config.json", kind="entry")


async def test_weights_go_by_the_headers_that_lie_here(tmp_path: Path) -> None:
    put_model(hub_here(), REPO)
    here = HeadersHere(digests=tmp_path)
    recipe = rendered(RECIPE)
    assert here.unread(recipe) == {(REPO, ""): COMMIT}
    assert await here.read(recipe)
    found = LocalFacts(hub_here(), tmp_path).find(REPO)
    assert found is not None and found.weights is not None
    assert (found.weights.source, found.weights.total) == ("headers", 1600 + 128 + 1600 + 16)
    assert (found.weights.embedding, found.weights.head) == (1600, 1600)
    estimate = size(recipe, (), LocalFacts(hub_here(), tmp_path))
    assert estimate.facts_source.startswith("headers of the files in the Hugging Face cache")
    assert not here.unread(recipe) and not await here.read(recipe)


async def test_another_commit_is_read_anew(tmp_path: Path) -> None:
    put_model(hub_here(), REPO)
    here = HeadersHere(digests=tmp_path)
    await here.read(rendered(RECIPE))
    other = "0123456789" * 4
    put_model(hub_here(), REPO, other)
    assert here.unread(rendered(RECIPE)) == {(REPO, ""): other}


async def test_a_drafter_that_lies_here_is_read_too(tmp_path: Path) -> None:
    put_model(hub_here(), "acme/draft")
    here = HeadersHere(digests=tmp_path)
    assert here.unread(rendered(DRAFTED)) == {("acme/draft", ""): COMMIT}
    assert await here.read(rendered(DRAFTED))


async def test_a_model_that_is_not_here_whole_is_left_alone(tmp_path: Path) -> None:
    here = HeadersHere(digests=tmp_path)
    assert not here.unread(rendered(RECIPE))
    snapshot = put_model(hub_here(), REPO)
    (snapshot / "model-00002-of-00002.safetensors").unlink()
    assert not await here.read(rendered(RECIPE))
    assert LocalFacts(None, tmp_path).find(REPO) is None


async def test_files_that_describe_no_model_are_tried_once(tmp_path: Path) -> None:
    put_model(hub_here(), REPO)
    reader = Counting()
    here = HeadersHere(reader, digests=tmp_path)
    for _ in range(3):
        assert not await here.read(rendered(RECIPE))
    assert reader.asked == [(REPO, "")]
