"""Keys of servers by their containers: read once, not kept where the container gave no answer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.command.server_key import KeyFinder
from sparkrun_tui.engines.registry import families_of
from sparkrun_tui.remote.docker.processes import ServerKeys
from sparkrun_tui.remote.transport import Outcome, Result

FINDER = KeyFinder(families_of("llama-cpp"))


class Daemon:
    """Runs no command, and gives prepared answers."""

    def __init__(self, *answers: Result) -> None:
        self.answers = list(answers)
        self.asked: list[Sequence[str]] = []

    async def run_exec(self, container: str, argv: Sequence[str], *, timeout: float = 60.0) -> Result:
        self.asked.append(argv)
        return self.answers.pop(0)


def said(text: str, code: int = 0) -> Result:
    return Result(Outcome.EXITED, code, text, "")


async def test_a_key_is_read_once() -> None:
    keys, daemon = ServerKeys(), Daemon(said("LLAMA_API_KEY=abc\n\nllama-server\n"))
    for _ in range(2):
        assert await keys.of("spark-1", daemon, "c", FINDER) == Secret("abc")
    assert len(daemon.asked) == 1


async def test_a_container_that_does_not_answer_is_asked_again() -> None:
    late = Result(Outcome.TIMED_OUT, None, "", "")
    keys, daemon = ServerKeys(), Daemon(late, said("LLAMA_API_KEY=abc\n\nllama-server\n"))
    with pytest.raises(HostError, match="in time"):
        await keys.of("spark-1", daemon, "c", FINDER)
    assert await keys.of("spark-1", daemon, "c", FINDER) == Secret("abc")


async def test_a_file_of_keys_is_read_within_bounds_and_is_no_option() -> None:
    keys, daemon = ServerKeys(), Daemon(said("A=b\n\nllama-server\n--api-key-file\n/keys\n"), said("x\ny\n"))
    assert await keys.of("spark-1", daemon, "c", FINDER) == Secret("x")
    assert daemon.asked[1] == ("head", "-c", "65536", "--", "/keys")


async def test_the_keys_of_many_containers_are_bounded() -> None:
    keys = ServerKeys()
    for number in range(400):
        await keys.of("spark-1", Daemon(said("LLAMA_API_KEY=abc\n\nllama-server\n")), f"c{number}", FINDER)
    with pytest.raises(IndexError):
        await keys.of("spark-1", Daemon(), "c0", FINDER)
    assert await keys.of("spark-1", Daemon(), "c399", FINDER) == Secret("abc")
