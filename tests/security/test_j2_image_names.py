"""J2: a Docker that gives one image any number of names, or lists one name any number of times, holds nothing up."""

from __future__ import annotations

import time

import pytest

from sparkrun_tui.base.reading.decoded import Decoded
from sparkrun_tui.cli.text import stores as text
from sparkrun_tui.launch.stores.look import view_of
from sparkrun_tui.launch.stores.model import HostStores
from sparkrun_tui.launch.stores.prune import offer_images
from sparkrun_tui.launch.stores.verify import judge_image
from sparkrun_tui.remote.docker.types import images_from

SECONDS = 3.0
COUNT = 20_000


def entry(number: int, tags: list[str], digests: list[str]) -> dict[str, object]:
    return {"Id": f"sha256:{number:064}", "RepoTags": tags, "RepoDigests": digests, "Size": 1, "Created": 1}


@pytest.mark.parametrize("digests", [0, COUNT])
def test_an_image_with_very_many_names_is_read_and_offered_in_little_time(digests: int) -> None:
    named = [f"a/c{number}@sha256:{number:064}" for number in range(digests)]
    listed = [entry(1, [f"a/b{number}:1" for number in range(COUNT)], named)]
    began = time.process_time()
    host = HostStores("spark-1", images=tuple(images_from(Decoded(listed))), containers=())
    view = view_of("lab", 0.0, [host], [])
    assert [text.image_row(image, 1.0) for image in view.images]
    offer = offer_images(view)
    assert [judge_image(image, "", "not asked") for image in view.images]
    assert time.process_time() - began < SECONDS
    assert {item.note for item in offer.unused} == {"it has other names: only this one goes"}


def test_a_name_that_is_listed_very_often_is_told_of_once() -> None:
    listed = [entry(number, ["a/b:1"], []) for number in range(500)]
    host = HostStores("spark-1", images=tuple(images_from(Decoded(listed))), containers=())
    (image,) = view_of("lab", 0.0, [host], []).images
    checked = judge_image(image, "", "not asked")
    assert {found.detail for found in checked} == {"another one than on spark-1"}
