"""J1: a name that somebody put into a shared cache does not make another model look unused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.launch.stores.look import look
from sparkrun_tui.launch.stores.prune import offer_models
from tests.security.test_h1_shared_stores import DEVICE, hub, mounted, services
from tests.security.test_i1_mounts import box
from tests.support.stored import store_model

__all__ = ["hub"]


@pytest.mark.parametrize("planted", ["e", "serve", "vllm", "a/b", "tools/x"])
@pytest.mark.parametrize("command", ["vllm serve --config /etc/serve.yaml", "python /opt/tools/x.py --a/b-c a/b.yaml"])
async def test_a_planted_name_frees_no_model_that_a_container_may_use(
    hub: Path, tmp_path: Path, planted: str, command: str
) -> None:
    mounted(tmp_path, DEVICE)
    disk = tmp_path / "disk"
    store_model(disk / "hf/hub", "org/m")
    store_model(disk / "hf/hub", planted)
    cluster = Cluster("home", ("spark-1",), hf_cache=str(disk / "hf"))
    serving = replace(box(disk / "hf"), command=command)
    view = await look(cluster, services({"spark-1": [serving]}))
    assert "org/m" not in [item.name for item in offer_models(view).unused]


@pytest.mark.parametrize(
    "command", ["vllm serve org/m", "llama-server -hf org/m:Q4_K_M", "x --model=/hub/models--org--m/snapshots/1"]
)
async def test_a_model_that_a_command_names_is_the_one_that_it_uses(hub: Path, tmp_path: Path, command: str) -> None:
    mounted(tmp_path, DEVICE)
    disk = tmp_path / "disk"
    store_model(disk / "hf/hub", "org/m")
    store_model(disk / "hf/hub", "org/free")
    cluster = Cluster("home", ("spark-1",), hf_cache=str(disk / "hf"))
    view = await look(cluster, services({"spark-1": [replace(box(disk / "hf"), command=command)]}))
    assert [item.name for item in offer_models(view).unused] == ["org/free"]
