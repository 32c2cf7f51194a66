"""An earlier launch written for another tool: with its overrides, its image and its hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Cli
from tests.launch.fakes import FakeCluster

SECRET = "sk-0123456789abcdefghij"


def test_overrides_image_and_hosts_of_the_launch_are_written(cli: Cli, lab: FakeCluster, pair: str) -> None:
    again = ("-H", "spark-2,spark-1", "--port", "31234", "--image", "registry.test/other:2")
    assert cli("run", pair, *again).code == 0
    assert cli("stop", "--all", "-H", "spark-1,spark-2", "--yes").code == 0
    # Newer, and not what is asked for.
    launch_id = cli("history", "--json").json[0]["launch_id"]
    assert cli("run", pair, "-H", "spark-1,spark-2").code == 0
    units = cli("history", "export", launch_id, "--as", "systemd", "--json").json["files"]
    assert list(units) == ["pair-0.service", "pair-1.service"]
    for rank, unit in enumerate(units.values()):
        assert "registry.test/other:2" in unit
        assert "--dist-init-addr spark-2:" in unit and f"--node-rank {rank}" in unit
    assert "--port 31234" in units["pair-0.service"]
    objects = {
        item["kind"]: item for item in yaml.safe_load_all(cli("history", "export", launch_id, "--as", "kubernetes").out)
    }
    assert objects["LeaderWorkerSet"]["spec"]["leaderWorkerTemplate"]["size"] == 2
    assert objects["Service"]["spec"]["ports"][0]["port"] == 31234
    copy = yaml.safe_load(cli("history", "export", launch_id, "-o", "port=31235").out)
    assert copy["container"] == "registry.test/other:2" and copy["defaults"]["port"] == 31235


def test_a_secret_of_the_launch_is_asked_for_again(cli: Cli, lab: FakeCluster, solo: str, tmp_path: Path) -> None:
    assert cli("run", solo, "-H", "spark-1", "-e", f"MY_TOKEN={SECRET}").code == 0
    refused = cli("history", "export", "solo", "--as", "compose")
    assert refused.code == 1 and "env.MY_TOKEN was not kept" in refused.err and "-o KEY=VALUE" in refused.err
    target = tmp_path / "compose.yaml"
    done = cli("history", "export", "solo", "--as", "compose", "-e", f"MY_TOKEN={SECRET}", "--output", str(target))
    assert done.code == 0, done.err
    assert SECRET not in target.read_text() + done.out + done.err
    assert "MY_TOKEN" in target.read_text()


def test_a_launch_for_two_hosts_is_no_compose_file(cli: Cli, lab: FakeCluster, pair: str) -> None:
    assert cli("run", pair, "-H", "spark-1,spark-2").code == 0
    refused = cli("history", "export", "pair", "--as", "compose")
    assert refused.code == 1 and "for 2 hosts" in refused.err


@pytest.mark.parametrize("name", ["nothing", ""])
def test_a_launch_that_is_not_known(cli: Cli, name: str) -> None:
    done = cli("history", "export", name, "--as", "compose")
    assert done.code == 2 and "is remembered" in done.err
