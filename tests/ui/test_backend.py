"""The real backend on hosts in memory: what it does to earlier launches, and what it says of a stop."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import LaunchError, SparkrunError
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.fleet.stop import Outcome
from sparkrun_tui.launch.record import journal
from sparkrun_tui.launch.record.again import values_again
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.ui.model import backend as real
from sparkrun_tui.ui.model.backend import LocalBackend, Reopened
from sparkrun_tui.ui.model.ports import KeyQuestion, PassphraseAsked, PastLaunch
from tests.launch.fakes import SGLANG_TWO, SOLO, FakeCluster, rendered
from tests.launch.virtual import virtual_time


class Silent:
    """A user who is asked nothing."""

    async def host_key(self, question: KeyQuestion) -> bool:
        raise AssertionError(question)

    async def passphrase(self, question: PassphraseAsked) -> str | None:
        raise AssertionError(question)


@pytest.fixture
def cluster() -> FakeCluster:
    """Two hosts, nothing on them."""
    return FakeCluster("spark-1", "spark-2")


async def opened(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> LocalBackend:
    """A backend that reaches these hosts."""
    monkeypatch.setattr(real, "real_services", lambda answer: cluster.services)
    found = LocalBackend(Settings(clusters=(cluster.cluster,)))
    await found.open(Silent())
    return found


async def served(cluster: FakeCluster, text: str = SOLO) -> str:
    """The id of a launch that another session left serving."""
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(text), cluster.cluster))
    await launch.wait_ready()
    await launch.detach()
    return launch.launch_id


def entry(backend: LocalBackend, launch_id: str) -> PastLaunch:
    return next(past for past in backend.history() if past.launch_id == launch_id)


@virtual_time
async def test_a_launch_that_still_runs_is_attached(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    launch_id = await served(cluster)
    backend = await opened(cluster, monkeypatch)
    found = await backend.reopen(entry(backend, launch_id), (cluster.cluster,))
    assert found.alive and isinstance(found.launch, Launch)
    await found.launch.wait_ready()
    assert await backend.stop(found.launch) == ""
    assert not any(host.containers for host in cluster.hosts.values())
    assert entry(backend, launch_id).outcome == LaunchStatus.STOPPED


@virtual_time
async def test_one_that_is_gone_is_recorded_as_over(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    launch_id = await served(cluster, SGLANG_TWO)
    for host in cluster.hosts.values():
        host.containers.clear()
    backend = await opened(cluster, monkeypatch)
    past = entry(backend, launch_id)
    assert past.outcome == LaunchStatus.READY
    found = await backend.reopen(past, (cluster.cluster,))
    assert not found.alive and found.launch.state.status is LaunchStatus.STOPPED
    assert found.launch.state.detail == journal.GONE
    assert found.launch.state.ended is not None
    after = entry(backend, launch_id)
    assert after.outcome == LaunchStatus.STOPPED and after.ended == found.launch.state.ended
    with pytest.raises(SparkrunError, match="nothing was stopped"):
        await backend.stop(found.launch)


@virtual_time
async def test_a_host_that_does_not_answer_leaves_it_unknown(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch_id = await served(cluster)
    backend = await opened(cluster, monkeypatch)
    cluster[1].unreachable = True
    found = await backend.reopen(entry(backend, launch_id), (cluster.cluster,))
    assert not found.alive and found.launch.state.status is LaunchStatus.UNKNOWN
    assert "spark-1 cannot be asked" in found.launch.state.detail
    assert entry(backend, launch_id).outcome == LaunchStatus.READY, "nothing is recorded that was not seen"


@virtual_time
async def test_one_that_is_being_prepared_elsewhere_is_not_called_gone(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch_id = await served(cluster)
    for host in cluster.hosts.values():
        host.containers.clear()
    backend = await opened(cluster, monkeypatch)
    past = replace(entry(backend, launch_id), outcome="starting", written=time.time())
    found = await backend.reopen(past, (cluster.cluster,))
    assert found.launch.state.status is LaunchStatus.UNKNOWN and "another window" in found.launch.state.detail


@virtual_time
async def test_hosts_that_only_labels_name_are_asked_only_when_they_are_the_user_s(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch_id = await served(cluster)
    backend = await opened(cluster, monkeypatch)
    past = replace(entry(backend, launch_id), claimed=True)
    stranger = await backend.reopen(replace(past, hosts=("evil.example",)), (cluster.cluster,))
    assert not stranger.alive and "in no cluster of yours" in stranger.launch.state.detail
    known = await backend.reopen(past, (Cluster("attic", ("old",)), cluster.cluster))
    assert known.alive
    await backend.close()


@virtual_time
async def test_a_launch_that_this_session_watches_is_stopped_by_it(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch_id = await served(cluster)
    backend = await opened(cluster, monkeypatch)
    view = await backend.survey(cluster.cluster)
    (workload,) = view.workloads
    launch = await backend.attach(workload, cluster.cluster)
    assert isinstance(launch, Launch)
    await launch.wait_ready()
    report = await backend.stop_workload(workload, view, cluster.cluster)
    assert report.complete and [rank.outcome for rank in report.ranks] == [Outcome.STOPPED]
    assert (launch.state.status, launch.state.detail) == (LaunchStatus.STOPPED, ""), "nobody else has stopped it"
    assert entry(backend, launch_id).outcome == LaunchStatus.STOPPED


@virtual_time
async def test_a_record_is_deleted_but_not_while_it_is_written(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch_id = await served(cluster)
    backend = await opened(cluster, monkeypatch)
    past = entry(backend, launch_id)
    opened_again = await backend.reopen(past, (cluster.cluster,))
    with pytest.raises(LaunchError, match="still being written"):
        await backend.forget(past)
    await backend.stop(opened_again.launch)
    await backend.forget(past)
    assert not backend.history() and not list(journal.launches_dir().iterdir())


def test_nothing_but_the_record_of_a_launch_is_deleted(tmp_path: Path) -> None:
    stray = tmp_path / "abcd2345"
    stray.mkdir()
    (stray / "events.jsonl").write_text("")
    for folder in (stray, journal.launches_dir(), journal.launches_dir() / "abcd2345"):
        with pytest.raises(LaunchError):
            journal.remove(folder)
    assert stray.is_dir()


@virtual_time
async def test_the_end_of_a_record_is_noted_once(cluster: FakeCluster) -> None:
    launch_id = await served(cluster)
    folder = journal.launch_folder(launch_id)
    first = journal.note_gone(folder)
    events = list(journal.read_events(folder))
    assert journal.note_gone(folder) == first == journal.read_state(folder)
    assert list(journal.read_events(folder)) == events
    assert Reopened(folder).state.status is LaunchStatus.STOPPED


def test_secrets_of_an_earlier_launch_are_taken_as_they_are_typed_now() -> None:
    kept = {"port": "9000", "api_key": "•••"}
    assert values_again(kept, {"api_key": "typed", "other": "x"}) == {"port": "9000", "api_key": "typed"}
    with pytest.raises(LaunchError, match="api_key"):
        values_again(kept, {})
