"""A container of somebody else can neither take the name of a recipe, nor hold up the reading of a host's list."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.fleet.choose import choose, matching
from sparkrun_tui.fleet.grouping import FoundContainer, group
from sparkrun_tui.fleet.model import FleetView
from sparkrun_tui.remote.docker.types import ContainerInfo, DockerError
from tests.security.test_a9_docker import entry, hostile


def workloads(*named: tuple[str, str]) -> FleetView:
    """A fleet of workloads by launch id and recipe."""
    seen = []
    for number, (launch, recipe) in enumerate(named):
        labels = {f"{LABEL}launch": launch, f"{LABEL}recipe": recipe, f"{LABEL}rank": "0", f"{LABEL}nodes": "1"}
        info = ContainerInfo(f"{number:064x}", f"c{number}", "i", "running", labels)
        seen.append(FoundContainer(f"spark-{number}", info))
    return FleetView("lab", 0.0, (), group(seen))


def test_a_launch_id_that_is_a_recipes_name_does_not_stand_for_it() -> None:
    view = workloads(("abcd2345", "deepseek"), ("deepseek", "x"))
    with pytest.raises(UsageError, match="matches 2 workloads"):
        choose(view, "deepseek")
    assert choose(view, "abcd2345").recipe == "deepseek"


def test_a_whole_id_still_comes_before_its_beginning() -> None:
    view = workloads(("abcd2345", "one"), ("abcd2346", "two"))
    assert [item.recipe for item in matching(view, "abcd2345")] == ["one"]
    assert len(matching(view, "abcd234")) == 2


async def test_a_container_of_very_many_labels_is_read_in_time(tmp_path: Path) -> None:
    labels = {f"é{number}": "é\u200b" for number in range(250_000)}
    body = json.dumps([entry(1), entry(2, Labels=labels)], ensure_ascii=False).encode()
    async with hostile(tmp_path / "d.sock", {"/containers/json": body}) as client:
        before = time.process_time()
        found = await client.containers()
        assert time.process_time() - before < 1.0
    assert found[0].labels[f"{LABEL}launch"] == "00000001"
    assert len(found[1].labels) <= 1000


async def test_a_list_of_very_many_names_is_refused(tmp_path: Path) -> None:
    body = json.dumps([entry(1, Names=["/c"] * 1_000_000)]).encode()
    async with hostile(tmp_path / "d.sock", {"/containers/json": body}) as client:
        with pytest.raises(DockerError, match="more than 200,000 items"):
            await client.containers()
