"""Servers with an API key: they become ready, and every request carries the key, which is never shown."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.fleet import metrics
from sparkrun_tui.fleet.model import Health
from sparkrun_tui.fleet.server_keys import key_of
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.launch.plan.dry_run import as_data, lines
from sparkrun_tui.launch.question import Question, ask_served
from sparkrun_tui.launch.record.events import EndpointUp, LaunchStatus
from sparkrun_tui.launch.record.journal import launch_folder
from sparkrun_tui.remote.http.client import HttpReply
from tests.launch.fakes import LLAMA, SOLO, FakeCluster, FakeContainer, FakeHost, journal_text, rendered, serve_well
from tests.launch.virtual import virtual_time

KEY = "canary-key-Zq8vT3"
KEYED = SOLO.replace("--port {port}", "--port {port} --api-key {api_key}")
COMPUTED = SOLO.replace("--port {port}", "--port {port} --api-key $(cat /run/key)")
HELLO = [b'data: {"choices": [{"delta": {"content": "hello"}}]}\n\n', b"data: [DONE]\n\n"]


@dataclass(frozen=True, slots=True)
class _Rank:
    host: str
    container_id: str


@dataclass(frozen=True, slots=True)
class _Found:
    launch_id: str
    ranks: tuple[_Rank, ...]


def keys_sent(cluster: FakeCluster, path: str) -> set[str | None]:
    """The keys that requests to a path carried."""
    return {call.key.reveal() if call.key else None for call in cluster.http.calls if call.path == path}


@virtual_time
async def test_a_server_with_a_key_becomes_ready(cluster: FakeCluster) -> None:
    cluster.http.key = KEY
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(KEYED, api_key=KEY), cluster.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.detail
    assert state.endpoint is not None and state.endpoint.wants_key
    assert keys_sent(cluster, "/v1/models") == {KEY}
    assert keys_sent(cluster, "/v1/completions") == {KEY}
    cluster.answer = HELLO
    asked = ask_served(cluster.services, "spark-1", state.endpoint, "Hello?", launch.key)
    assert [piece async for piece in asked] == ["hello"]
    assert KEY not in journal_text(launch_folder(launch.launch_id))
    assert KEY not in repr(launch.state) + repr(launch.plan.serve) + repr(cluster.http.calls)
    await launch.stop()


async def says_its_key(host: FakeHost, container: FakeContainer) -> int:
    """A server whose key its own shell has worked out."""
    container.arguments = f"bash\nvllm\nserve\norg/tiny\n--api-key\n{KEY}\npython3"
    return await serve_well(host, container)


@virtual_time
async def test_a_key_that_only_the_shell_knows_is_read_from_the_processes(cluster: FakeCluster) -> None:
    cluster.http.key = KEY
    for host in cluster.hosts.values():
        host.program = says_its_key
    launch = cluster.begin(COMPUTED)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert state.detail == ""
    assert launch.key == Secret(KEY)
    cluster[1].say(next(iter(cluster[1].containers.values())), f"it was told {KEY}")
    await launch.stop()
    assert KEY not in journal_text(launch_folder(launch.launch_id))


@virtual_time
async def test_a_file_of_keys_is_read_in_the_container(cluster: FakeCluster) -> None:
    async def with_file(host: FakeHost, container: FakeContainer) -> int:
        container.arguments = "llama-server\n--api-key-file\n/keys\n--port\n8080"
        container.files["/keys"] = f"\n{KEY}\nother\n"
        return await serve_well(host, container)

    cluster.http.key, cluster.http.open = KEY, frozenset({"/health", "/v1/models", "/metrics"})
    cluster[1].program = with_file
    launch = cluster.begin(LLAMA.replace("--port {port}", "--port {port} --api-key-file /keys"))
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    assert launch.key == Secret(KEY)
    await launch.stop()


@pytest.mark.parametrize("status", [401, 403])
@virtual_time
async def test_a_server_whose_key_is_not_known_serves(cluster: FakeCluster, status: int) -> None:
    cluster.http.answers = {"/v1/models": HttpReply(status, b"{}")}
    launch = cluster.begin(SOLO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert "serves, wants a key" in state.detail
    assert state.endpoint is not None and state.endpoint.wants_key
    assert any(str(status) in notice.text for notice in state.notices)
    await launch.stop()


@virtual_time
async def test_a_guarded_health_path_is_alive(cluster: FakeCluster) -> None:
    cluster.http.key, cluster.http.open = KEY, frozenset()
    launch = cluster.begin(SOLO)
    state = await launch.wait_ready()
    assert "serves, wants a key" in state.detail
    view = await survey(cluster.cluster, cluster.services)
    assert view.workloads[0].health is Health.SERVING
    await launch.stop()


@virtual_time
async def test_another_process_finds_the_key(cluster: FakeCluster) -> None:
    """`status`, metrics, `ask` and attaching: the container is asked, as its owner can."""
    cluster.http.key = KEY
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(KEYED, api_key=KEY), cluster.cluster))
    await launch.wait_ready()
    await launch.detach()
    services = cluster.services
    view = await survey(cluster.cluster, services)
    item = view.workloads[0]
    assert item.health is Health.SERVING
    assert KEY not in repr(view)
    cluster.http.answers = {"/metrics": HttpReply(200, b"vllm:num_requests_running 3\n")}
    reading = await metrics.read(item, services)
    assert reading is not None and reading.running == 3
    cluster.answer = HELLO
    endpoint = EndpointUp(url=f"http://{item.address}:{item.port}", model="tiny")
    question = Question(services, "spark-1", endpoint, "Hello?", find_key=lambda: key_of(item, services))
    assert [piece async for piece in question] == ["hello"]
    again = cluster.launcher()
    rank = item.ranks[0]
    attached = await again.attach(_Found(item.launch_id, (_Rank(rank.host, rank.container_id),)), cluster.cluster)
    state = await attached.wait_ready()
    assert state.status is LaunchStatus.READY
    assert attached.key == Secret(KEY)
    assert KEY not in repr(attached.state) + journal_text(launch_folder(item.launch_id))
    await attached.stop()


@virtual_time
async def test_without_the_key_the_question_says_so(cluster: FakeCluster) -> None:
    cluster.http.key = KEY
    endpoint = EndpointUp(url="http://127.0.0.1:8000", model="tiny", offers="chat")
    cluster[1].open(8000, "tiny")
    with pytest.raises(Exception, match="wants an API key, which is not known"):
        _ = [piece async for piece in Question(cluster.services, "spark-1", endpoint, "Hello?")]


@virtual_time
async def test_a_question_fits_what_the_server_offers(cluster: FakeCluster) -> None:
    cluster[1].open(8000, "tiny")
    vector = HttpReply(200, b'{"data": [{"embedding": [1, 2, 3]}]}')
    cluster.http.answers = {"/v1/embeddings": vector}
    endpoint = EndpointUp(url="http://127.0.0.1:8000", model="tiny", offers="embedding")
    told = [piece async for piece in Question(cluster.services, "spark-1", endpoint, "Hello?")]
    assert told == ["an embedding of 3 numbers"]
    assert [call.path for call in cluster.http.calls] == ["/v1/embeddings"]
    cluster.http.calls.clear()
    schema = HttpReply(200, b'{"paths": {"/v1/models": {}, "/v1/embeddings": {}, "/health": {}}}')
    cluster.http.answers = {"/openapi.json": schema, "/v1/embeddings": vector}
    unknown = EndpointUp(url="http://127.0.0.1:8000", model="tiny")
    told = [piece async for piece in Question(cluster.services, "spark-1", unknown, "Hello?")]
    assert told == ["an embedding of 3 numbers"]
    assert [call.path for call in cluster.http.calls] == ["/openapi.json", "/v1/embeddings"]


@virtual_time
async def test_without_a_list_of_paths_the_ways_are_tried(cluster: FakeCluster) -> None:
    cluster[1].open(8000, "tiny")
    cluster.http.missing = frozenset({"/openapi.json", "/v1/chat/completions", "/v1/completions", "/v1/embeddings"})
    cluster.http.answers = {"/v1/score": HttpReply(200, b'{"data": [{"score": 0.5}]}')}
    endpoint = EndpointUp(url="http://127.0.0.1:8000", model="tiny")
    assert [piece async for piece in Question(cluster.services, "spark-1", endpoint, "a | b")] == ["score 0.5"]


def test_commands_to_paste_take_the_key_from_a_variable(cluster: FakeCluster) -> None:
    plan = cluster.launcher().plan(rendered(KEYED, api_key=KEY), cluster.cluster)
    told = "\n".join(lines(plan))
    assert KEY not in told + repr(as_data(plan))
    assert """-H 'Authorization: Bearer '"${VLLM_API_KEY}" """ in told
    assert "# note: set VLLM_API_KEY before you paste a command" in told
