"""A whole launch on simulated hosts: it serves, is stopped, is detached and found again."""

from __future__ import annotations

import asyncio
import json

import pytest

from sparkrun_tui.engines.offers import OFFERS
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.launch.record.events import LaunchStatus, StepState
from sparkrun_tui.launch.record.journal import launches_dir, read_log, read_state
from sparkrun_tui.remote.http.client import HttpReply
from tests.launch.fakes import RAY_TWO, SGLANG_TWO, SOLO, FakeCluster, rendered
from tests.launch.virtual import virtual_time


@virtual_time
async def test_a_recipe_on_one_host_serves_and_is_stopped(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert state.endpoint is not None and state.endpoint.url == "http://10.0.0.1:8000/v1"
    assert list(state.hosts) == ["spark-1"]
    cells = state.hosts["spark-1"].cells
    assert cells[Phase.IMAGE].state is StepState.SKIPPED
    assert cells[Phase.MODEL].state is StepState.OK and cells[Phase.MODEL].detail == "sent"
    assert cells[Phase.LOAD].state is StepState.OK
    assert cells[Phase.READY].state is StepState.OK
    assert cluster[1].lease == ""
    stopped = await launch.stop()
    assert stopped.status is LaunchStatus.STOPPED
    assert cluster.remaining == []
    assert any(action.startswith("stop(20)") for action in cluster[1].actions)


@virtual_time
async def test_the_journal_and_the_log_outlive_the_launch(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    await launch.stop()
    folder = launches_dir() / launch.launch_id
    assert read_state(folder) == launch.state
    assert [line.text for line in read_log(folder, "spark-1")] == [
        line.text for line in launch.logs["spark-1"].since(0)
    ]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.rglob("*") if path.is_file())


@virtual_time
async def test_all_ranks_of_a_pair_start_at_once_and_only_the_head_is_asked(cluster: FakeCluster) -> None:
    launch = cluster.begin(SGLANG_TWO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert len(cluster.running) == 2
    assert {call.port for call in cluster.http.calls} == {30000}
    await launch.stop()
    assert cluster.remaining == []


@virtual_time
async def test_over_ray_workers_join_after_the_head_and_the_engine_starts_once_all_are_there(
    cluster: FakeCluster,
) -> None:
    async def idle(host: object, container: object) -> int:
        await asyncio.sleep(10_000_000)
        return 0

    for host in cluster.hosts.values():
        host.program = idle
    launch = cluster.begin(RAY_TWO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    head = cluster[1].actions
    assert [action.split()[0] for action in head if action.split()[0] in ("create", "start", "exec")] == [
        "create", "start", "exec",
    ]  # fmt: skip
    script = next(iter(cluster[1].containers.values())).files["/run/sparkrun/exec-0.serve.sh"]
    assert "--distributed-executor-backend ray" in script
    await launch.stop()
    assert cluster.remaining == []


@virtual_time
async def test_letting_go_leaves_the_workload_and_attaching_finds_it_with_no_line_twice(cluster: FakeCluster) -> None:
    first = cluster.launcher()
    launch = first.launch(first.plan(rendered(SOLO, port="8123"), cluster.cluster))
    await launch.wait_ready()
    container = next(iter(cluster[1].containers.values()))
    cluster[1].say(container, "before")
    await asyncio.sleep(2)
    await first.close()
    assert cluster.running == [container.info.name]
    cluster[1].say(container, "meanwhile")

    second = cluster.launcher()
    again = await second.attach(_Workload(launch.launch_id, (_Rank("spark-1", container.info.id),)), cluster.cluster)
    state = await again.wait_ready()
    await asyncio.sleep(2)
    assert state.status is LaunchStatus.READY
    assert state.recipe == "solo" and state.port == 8123 and state.settings == {"port": "8123"}
    texts = [line.text for line in again.logs["spark-1"].since(0)]
    assert texts.count("before") == 1 and texts.count("meanwhile") == 1
    await again.stop()
    assert cluster.remaining == []
    kept = [line.text for line in read_log(launches_dir() / launch.launch_id, "spark-1")]
    assert kept.count("before") == 1 and kept.count("meanwhile") == 1


class _Rank:
    def __init__(self, host: str, container_id: str) -> None:
        self.host = host
        self.container_id = container_id


class _Workload:
    def __init__(self, launch_id: str, ranks: tuple[_Rank, ...]) -> None:
        self.launch_id = launch_id
        self.ranks = ranks


EUGR = """\
name: delegated
model: org/tiny
runtime: eugr-vllm
container: registry.test/engine:1
min_nodes: 2
defaults: {port: 8000, tensor_parallel: 2, served_model_name: tiny}
command: vllm serve {model} --port {port} -tp {tensor_parallel} --served-model-name {served_model_name}
"""


@virtual_time
async def test_a_delegated_launch_finds_follows_and_removes_the_scripts_containers(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(EUGR), cluster.cluster)
    name = plan.serve.delegated

    async def scripts() -> None:
        for host in cluster.hosts.values():
            docker = cluster.services.docker(cluster.services.connector(host.name))
            labels = {
                "io.sparkrun-tui.port": "8000",
                "io.sparkrun-tui.rank": host.name[-1],
                "io.sparkrun-tui.served": "x",
            }
            await docker.start(await docker.create(name, {"Image": "i", "Labels": labels}))

    cluster.on_script = scripts
    launch = launcher.launch(plan)
    await asyncio.sleep(8)
    cluster[1].open(8000, "tiny")
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert any("load" in line.text for line in launch.logs["spark-2"].since(0))
    cluster[1].servers.clear()
    await asyncio.sleep(30)
    assert launch.state.status is LaunchStatus.DEGRADED
    await launch.stop()
    assert cluster.remaining == []


PATHS = tuple(path for offer in OFFERS for path in offer.paths)
_TOKENS = ("/v1/completions", "/v1/chat/completions")


@pytest.mark.parametrize(
    ("missing", "asked"),
    [
        ((), "/v1/completions"),
        (_TOKENS[:1], "/v1/chat/completions"),
        (_TOKENS, "/v1/embeddings"),
        ((*_TOKENS, "/v1/embeddings"), "/v1/score"),
    ],
)
@virtual_time
async def test_a_server_is_ready_with_what_it_is_for(
    cluster: FakeCluster, missing: tuple[str, ...], asked: str
) -> None:
    # With --runner pooling vLLM has no paths for tokens, as two recipes for embeddings and reranking have it.
    cluster.http.missing = frozenset(missing)
    launch = cluster.begin(SOLO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert cluster.http.calls[-1].path == asked
    await launch.stop()


@virtual_time
async def test_a_pooling_server_is_asked_for_an_embedding_first(cluster: FakeCluster) -> None:
    # As two official recipes have it: nothing but the flag says that there is no text.
    cluster.http.missing = frozenset((*_TOKENS, "/openapi.json"))
    text = SOLO.replace("--port {port}", "--port {port} --runner pooling -tp 1")
    launch = cluster.begin(text)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert state.endpoint is not None and state.endpoint.offers == "embedding"
    posts = [call.path for call in cluster.http.calls if call.method == "POST"]
    assert posts == ["/v1/embeddings"]
    view = await survey(cluster.cluster, cluster.services)
    assert view.workloads[0].offers == "embedding"
    await launch.stop()


@pytest.mark.parametrize(
    ("listed", "asked"),
    [
        (("/v1/rerank", "/score", "/v1/score"), "/v1/score"),
        (("/pooling",), "/pooling"),
        (("/classify", "/pooling"), "/classify"),
        (("/v1/audio/transcriptions", "/v1/models"), "/v1/audio/transcriptions"),
        (("/v1/audio/speech",), "/v1/audio/speech"),
        (("/v1/chat/completions",), "/v1/chat/completions"),
    ],
)
@virtual_time
async def test_only_what_a_server_lists_is_asked(cluster: FakeCluster, listed: tuple[str, ...], asked: str) -> None:
    schema = json.dumps({"paths": dict.fromkeys(listed, "")}).encode()
    cluster.http.answers = {"/openapi.json": HttpReply(200, schema)}
    launch = cluster.begin(SOLO)
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    assert [call.path for call in cluster.http.calls if call.method == "POST"] == [asked]
    await launch.stop()


@pytest.mark.parametrize("status", [400, 404, 415, 422, 501])
@virtual_time
async def test_a_server_that_takes_no_request_known_here_is_ready_by_its_name(
    cluster: FakeCluster, status: int
) -> None:
    """A model that wants pictures, for example: it refuses texts, and is well."""
    cluster.http.answers = {path: HttpReply(status, b'{"message": "an image is needed"}') for path in PATHS}
    launch = cluster.begin(SOLO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert any("ready by its health and its name" in notice.text for notice in state.notices)
    await launch.stop()


@virtual_time
async def test_a_server_that_lists_no_models_is_ready(cluster: FakeCluster) -> None:
    cluster.http.answers = {"/v1/models": HttpReply(404, b"")}
    launch = cluster.begin(SOLO)
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    await launch.stop()


@virtual_time
async def test_a_list_of_models_in_another_form_is_not_waited_for(cluster: FakeCluster) -> None:
    cluster.http.answers = {"/v1/models": HttpReply(200, b'{"models": ["tiny"]}')}
    launch = cluster.begin(SOLO)
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    await launch.stop()


@virtual_time
async def test_models_that_cannot_be_listed_are_waited_for_with_a_word(cluster: FakeCluster) -> None:
    cluster.http.answers = {"/v1/models": HttpReply(500, b"starting")}
    launch = cluster.begin(SOLO)
    await asyncio.sleep(120)
    assert launch.state.status is LaunchStatus.STARTING
    assert [notice.text for notice in launch.state.notices if "gives no name yet: 500" in notice.text]
    del cluster.http.answers["/v1/models"]
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    await launch.stop()


@virtual_time
async def test_a_path_that_fails_at_first_is_asked_again(cluster: FakeCluster) -> None:
    class Warming(dict[str, HttpReply]):
        """Fails once."""

        def __getitem__(self, key: str) -> HttpReply:
            return self.pop(key)

    cluster.http.missing = frozenset(PATHS) - {"/v1/embeddings"}
    cluster.http.answers = Warming({"/v1/embeddings": HttpReply(500, b"busy")})
    launch = cluster.begin(SOLO)
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    await launch.stop()


@virtual_time
async def test_a_server_that_answers_nothing_is_not_ready(cluster: FakeCluster) -> None:
    cluster.http.answers = {path: HttpReply(500, b'{"error": "engine dead"}') for path in PATHS}
    state = await cluster.begin(SOLO).wait_ready()
    assert state.status is LaunchStatus.FAILED
    assert "500" in state.detail


@virtual_time
async def test_a_refusal_of_docker_is_reported_with_its_repair(cluster: FakeCluster) -> None:
    cluster[1].refuse["start"] = 'could not select device driver "" with capabilities: [[gpu]]'
    state = await cluster.begin(SOLO).wait_ready()
    assert state.status is LaunchStatus.FAILED
    assert state.diagnosis is not None
    assert state.diagnosis.title == "Docker has no GPU on this host"
    assert "nvidia-ctk" in state.diagnosis.repairs[0].title
