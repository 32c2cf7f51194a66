"""J2: names of models and commands of containers that are made to be alike are compared in little time."""

from __future__ import annotations

import time

import pytest

from sparkrun_tui.launch.stores.look import view_of
from sparkrun_tui.launch.stores.model import HostStores
from sparkrun_tui.launch.stores.prune import offer_models
from sparkrun_tui.remote.docker.types import ContainerInfo
from sparkrun_tui.remote.hub.host_store import HostStore, StoredRepo

SECONDS = 3.0


@pytest.mark.parametrize("words", ["a" * 8000, "a/" * 4000, "models--" * 1000, "models--a/" * 800])
def test_a_long_command_is_searched_once_for_all_models(words: str) -> None:
    repos = tuple(StoredRepo(f"{'a' * 80}{number:04}/{'a' * 80}", size=1) for number in range(1000))
    containers = tuple(
        ContainerInfo(f"c{number}", "box", "image", "running", {}, command=words, mounts=(f"/{words}", f"/x/{words}"))
        for number in range(200)
    )
    host = HostStores(
        "spark-1", store=HostStore("/hub", 0.0, "me", "boot", repos=repos), images=(), containers=containers
    )
    began = time.process_time()
    offer_models(view_of("lab", 0.0, [host], []))
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    "command",
    [
        "vllm serve org/m",
        "vllm serve --model=org/m:Q4_K_M",
        "sh -c 'vllm serve \"org/m\"&& true'",
        "vllm serve /cache/hub/models--org--m/snapshots/abc",
        "llama-server -hf hf.co/org/m",
        "vllm serve other/x --tokenizer org/m",
    ],
)
def test_a_model_that_a_command_names_stays(command: str) -> None:
    repos = (StoredRepo("org/m", size=1), StoredRepo("org/m-AWQ", size=1))
    serving = ContainerInfo("c", "box", "image", "running", {}, command=command)
    host = HostStores(
        "spark-1", store=HostStore("/hub", 0.0, "me", "boot", repos=repos), images=(), containers=(serving,)
    )
    assert [item.name for item in offer_models(view_of("lab", 0.0, [host], [])).unused] == ["org/m-AWQ"]
