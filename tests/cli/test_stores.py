"""`models` and `images` on the demo cluster and on fake hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.remote.failures import NoDocker
from tests.cli.conftest import Cli
from tests.launch.fakes import FakeCluster
from tests.launch.fakes.docker import FakeDocker
from tests.support.stored import leave_part, store_model

OLD, BROKEN = "acme-labs/Old-Chat-13B", "acme-labs/Broken-Off-70B"
IMAGE = "nvcr.io/nvidia/vllm:25.09-py3"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of this machine, which has no Docker."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    (tmp_path / "hub").mkdir()
    return tmp_path / "hub"


@pytest.mark.parametrize("command", [("models",), ("models", "list")])
def test_models_are_listed_with_sizes_ages_and_users(cli: Cli, command: tuple[str, ...]) -> None:
    done = cli(*command, "--demo")
    assert done.code == 0
    assert f"{OLD}    " in done.out and "on spark-1, spark-2" in done.out and "41 d" in done.out
    assert "unfinished: 38.5 GiB) on spark-1" in done.out and "free in /home/spark" in done.out
    body = cli(*command, "--demo", "--json").json
    assert [host["name"] for host in body["hosts"]] == ["spark-1", "spark-2"]
    by_name = {model["model"]: model for model in body["models"]}
    assert [on["host"] for on in by_name[OLD]["on"]] == ["spark-1", "spark-2"]
    assert by_name[BROKEN]["on"][0]["unfinished"]["files"] == 1
    assert len(by_name[OLD]["on"][0]["revisions"][0]["commit"]) == 40


def test_images_are_listed_with_their_digests(cli: Cli) -> None:
    done = cli("images", "--demo")
    assert done.code == 0 and IMAGE in done.out and "30 d" in done.out
    (image,) = cli("images", "list", "--demo", "--json").json["images"]
    assert image["image"] == IMAGE and image["on"][0]["digests"][0].startswith("nvcr.io/nvidia/vllm@sha256:")


def test_verify_names_what_is_not_whole(cli: Cli) -> None:
    done = cli("models", "verify", "--demo")
    assert done.code == 1
    assert f"… spark-1: {BROKEN} unfinished" in done.out
    assert f"✓ spark-2: {OLD} whole: 8 files, by their headers and the Hub's list" in done.out
    assert cli("models", "verify", OLD, "--demo").code == 0
    body = cli("images", "verify", "--demo", "--json")
    assert body.code == 0 and {checked["verdict"] for checked in body.json["checked"]} == {"whole"}


def test_prune_shows_asks_and_says_what_went(cli: Cli) -> None:
    refused = cli("models", "prune", "--demo")
    assert refused.code == 2
    assert f"spark-1: unfinished download of {BROKEN}, 38.5 GiB" in refused.err and "--yes" in refused.err
    done = cli("models", "prune", "--demo", "--yes")
    assert done.code == 0 and "gone: 38.5 GiB" in done.out
    assert "2 more that no recipe names and no container uses, 48.5 GiB" in done.err
    dry = cli("models", "prune", "--unused", "--dry-run", "--demo")
    assert dry.code == 0 and dry.out.count("would go: ") == 4 and "would go: 87.0 GiB" in dry.out
    body = cli("models", "prune", OLD, "--demo", "--yes", "--json").json
    assert [(item["host"], item["gone"]) for item in body["removed"]] == [("spark-1", True), ("spark-2", True)]
    images = cli("images", "prune", IMAGE, "--demo", "--yes")
    assert images.code == 0 and images.out.count(": gone") == 2
    assert cli("images", "prune", "--demo", "--yes").out.startswith("there is nothing to remove")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("models", "prune", "Old-Chat", "--demo"), "there is no model `Old-Chat`"),
        (("images", "verify", "nope", "--demo"), "there is no image `nope`"),
        (("models", "--demo", "prune"), "write the options behind `prune`"),
        (("models", "--json", "list"), "write the options behind `list`"),
        (("models", "prune", OLD, "--unused", "--demo"), "names or --unused"),
        (("models", "--here", "--demo"), "this machine alone"),
    ],
)
def test_wrong_words_are_refused(cli: Cli, words: tuple[str, ...], said: str) -> None:
    done = cli(*words)
    assert done.code == 2 and said in done.err


def test_demo_before_the_command_holds(cli: Cli) -> None:
    assert OLD in cli("--demo", "models", "list").out


def test_a_silent_host_is_named_and_exit_code_3(cli: Cli, lab: FakeCluster) -> None:
    lab[2].unreachable = True
    done = cli("models", "-H", "spark-1,spark-2")
    assert done.code == 3 and "spark-2: does not answer" in done.out
    assert cli("images", "prune", "-H", "spark-1,spark-2", "--yes").code == 3


def test_images_of_a_docker_that_does_not_run_are_not_known(
    cli: Cli, lab: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def images(_: FakeDocker) -> None:
        raise NoDocker("Docker is installed but not running", installed=True)

    monkeypatch.setattr(FakeDocker, "images", images)
    done = cli("images", "-H", "spark-1")
    assert done.code == 3 and "no image is there" not in done.out
    assert "spark-1: its images and what its containers use are not known: Docker is installed" in done.out
    assert cli("images", "-H", "spark-1", "--json").code == 3


def test_this_machine_has_a_cache_of_its_own(cli: Cli, here: Path) -> None:
    leave_part(store_model(here, "org/m"), size=2 << 20)
    done = cli("models", "--here")
    assert done.code == 0 and "(unfinished: 2.0 MiB) on workstation" in done.out
    body = cli("models", "list", "--here", "--json").json
    assert [(host["name"], host["workstation"]) for host in body["hosts"]] == [("workstation", True)]
