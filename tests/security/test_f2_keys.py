"""The key of one server, what a host claims of an image, and the name of a model stay where they belong."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.command.server_key import KeyFinder
from sparkrun_tui.engines.offers import BY_NAME, OFFERS
from sparkrun_tui.engines.registry import families_of
from sparkrun_tui.launch.image_ray import keep, kept_of, known_ray
from sparkrun_tui.launch.plan.curl import post
from sparkrun_tui.launch.question import Question
from sparkrun_tui.launch.record.events import EndpointUp
from sparkrun_tui.launch.sizing.measured_store import ImageFacts, learn_image
from sparkrun_tui.remote.docker.look import body
from sparkrun_tui.remote.docker.processes import ServerKeys, read
from sparkrun_tui.remote.docker.types import ImageProgram
from sparkrun_tui.remote.http.client import HttpCall, HttpRefused, HttpReply
from sparkrun_tui.remote.transport import Outcome, Result, Transport
from tests.launch.fakes import IMAGE, RAY_TWO, FakeCluster, rendered

KEY = "sk-canary-0123456789abcdef"
FINDER = KeyFinder(families_of("llama-cpp"))


class _Says:
    """A daemon whose containers were given one key."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def run_exec(self, container: str, argv: Sequence[str], *, timeout: float = 60.0) -> Result:
        return Result(Outcome.EXITED, 0, f"LLAMA_API_KEY={self._key}\n\nllama-server\n", "")


async def test_a_container_of_the_same_id_on_another_host_gets_no_key() -> None:
    """The second host claims to have the container of the first one."""
    keys = ServerKeys()
    assert await keys.of("spark-1", _Says(KEY), "c" * 64, FINDER) == Secret(KEY)
    assert await keys.of("spark-2", _Says("theirs"), "c" * 64, FINDER) == Secret("theirs")
    assert await keys.of("spark-1", _Says("changed"), "c" * 64, FINDER) == Secret(KEY)


def test_what_a_host_says_of_a_digest_counts_for_no_other_host() -> None:
    """A version that knows no token would start Ray on the other hosts without a password."""
    keep("spark-2", "sha256:1", ImageProgram(True, "2.1.0"))
    learn_image(IMAGE, ImageFacts("sha256:1", ""))
    assert kept_of("spark-1", "sha256:1").has is None
    assert kept_of("spark-2", "sha256:1").version == "2.1.0"
    assert known_ray(rendered(RAY_TWO), ("spark-1", "spark-2")).has is None
    assert known_ray(rendered(RAY_TWO), ("spark-2", "spark-1")).version == "2.1.0"


def test_the_container_that_is_only_looked_at_gets_no_gpu() -> None:
    made = body("org/image:1")
    assert "NVIDIA_VISIBLE_DEVICES=void" in made["Env"]
    assert made["Healthcheck"] == {"Test": ["NONE"]}
    assert made["HostConfig"]["NetworkMode"] == "none" and not made["HostConfig"].get("DeviceRequests")


@pytest.mark.parametrize("sign", ["@", "<"])
@pytest.mark.parametrize("name", [offer.name for offer in OFFERS])
def test_a_pasted_request_sends_no_file(tmp_path: Path, name: str, sign: str) -> None:
    """The name of a model comes from a recipe or a label; curl takes `@file` and `<file` for the content of files."""
    canary = tmp_path / "canary"
    canary.write_text("CANARY-CONTENT")
    command = post("http://127.0.0.1:1", BY_NAME[name], f"{sign}{canary}", "hi")
    pairs = list(pairwise(shlex.split(command)))
    forms = [after for flag, after in pairs if flag in ("-F", "--form")]
    assert forms in ([], ["file=@sound.wav"])
    assert not dict(pairs).get("-d", "").startswith("@")


class _Echoes:
    """A server that wants a key, and repeats the one that it gets."""

    def __init__(self, status: int) -> None:
        self._status = status

    def _answer(self, call: HttpCall) -> HttpReply:
        if call.key is None:
            return HttpReply(401, b"{}")
        text = f'{{"error":"Incorrect API key provided: {call.key.reveal()}"}}'
        if self._status == 200:
            text = f'{{"data":[{{"label":"{call.key.reveal()}"}}]}}'
        return HttpReply(self._status, text.encode())

    async def ask(self, transport: Transport, call: HttpCall) -> HttpReply:
        return self._answer(call)

    async def stream(self, transport: Transport, call: HttpCall) -> AsyncIterator[bytes]:
        reply = self._answer(call)
        if not reply.ok:
            raise HttpRefused(reply.status, reply.body.decode(), host=transport.name)
        yield f'data: {{"choices":[{{"delta":{{"content":"your key is {KEY}"}}}}]}}\n\n'.encode()


@pytest.mark.parametrize("kind", ["chat", "classify"])
@pytest.mark.parametrize("status", [200, 302, 400, 401, 500])
async def test_a_server_that_repeats_its_key_does_not_have_it_shown(status: int, kind: str) -> None:
    services = replace(FakeCluster("spark-1").services, http=_Echoes(status))
    endpoint = EndpointUp(url="http://10.0.0.1:8000/v1", model="m", offers=kind)

    async def find_key() -> Secret:
        return Secret(KEY)

    shown = ""
    try:
        async for piece in Question(services, "spark-1", endpoint, "hi", find_key=find_key):
            shown += piece
    except HostError as error:
        shown += f"{error} {error.what} {error!r}"
    assert shown and KEY not in shown
    assert "•••" in shown


def test_the_words_of_a_container_are_bounded() -> None:
    found = read("a=b\n" * 500_000 + "\n" + "x\n" * 500_000)
    assert len(found.variables) <= 100_000 and len(found.words) <= 100_000


def test_a_shell_makes_the_words_that_were_meant(tmp_path: Path) -> None:
    """The printed request, as a shell reads it, with a name of a model that has every sign of a shell."""
    name = "a'\"$(touch canary)`touch canary`;&|\\\n<b"
    for offer in OFFERS:
        command = post("http://127.0.0.1:1", offer, name, name)
        ran = subprocess.run(
            ["sh", "-c", f"curl() {{ printf '%s\\0' \"$@\"; }}\n{command}"],
            cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip
        assert list(tmp_path.iterdir()) == []
        assert ran.stdout.count(b"\0") == len(shlex.split(command)) - 1
