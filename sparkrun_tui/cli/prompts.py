"""Questions to the person on the terminal: host keys, passphrases and consent; refused where there is no terminal."""

from __future__ import annotations

import asyncio
import atexit
import getpass
import sys
import termios
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.cli.exits import piece, say
from sparkrun_tui.remote.ssh.host_key_policy import YES, HostKeyQuestion, Question

if TYPE_CHECKING:
    from sparkrun_tui.recipe.trust import Demand

_GRAVE = "!"


def on_terminal() -> bool:
    """Whether somebody can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def asker() -> Asker | None:
    """What puts questions of connections to the person; None where nobody can answer, and such hosts are refused."""
    return Asker() if on_terminal() else None


class Asker:
    """Asks one question at a time, whatever hosts connect meanwhile, without holding up the event loop."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def __call__(self, question: Question) -> str | None:
        """The answer; None when there is none."""
        async with self._turn:
            if isinstance(question, HostKeyQuestion):
                return await _aside(lambda: _host_key(question))
            again = "That was not it. " if question.again else ""
            text = f"{again}Passphrase of {question.path} (for {question.host}): "
            return await _aside(lambda: _hidden(clean_line(text)))


async def _aside(question: Callable[[], str | None]) -> str | None:
    """Ask in a thread that dies with the program, so that ctrl+c need not wait for a line; echo is then put back."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str | None] = loop.create_future()
    atexit.register(termios.tcsetattr, sys.stdin.fileno(), termios.TCSADRAIN, termios.tcgetattr(sys.stdin.fileno()))

    def answered(text: str | None) -> None:
        if not answer.done():
            answer.set_result(text)

    def work() -> None:
        text = question()
        loop.call_soon_threadsafe(answered, text)

    threading.Thread(target=work, name="question", daemon=True).start()
    return await answer


def _host_key(question: HostKeyQuestion) -> str | None:
    say(f"{question.host} ({question.address}) is not known yet. Its {question.key_type} key is {question.fingerprint}")
    if question.note:
        say(question.note)
    return YES if confirm("Is this the right host?") else None


def _hidden(text: str) -> str | None:
    try:
        return getpass.getpass(text, stream=sys.stderr) or None
    except (EOFError, KeyboardInterrupt):
        return None


def agreed(about: str, wanted: Sequence[Demand], doing: str, yes: bool) -> bool:
    """Tell what a recipe of others wants, and whether the person agrees; `yes` says that they have."""
    say(f"{about}. It")
    for demand in wanted:
        say(f"  {_GRAVE if demand.grave else '-'} {demand.title}")
        for text in demand.detail.split("\n") if demand.detail else ():
            say(f"      {text}")
    return yes or confirm(doing)


def how_to_agree() -> str:
    """What to do where nobody could be asked; empty where somebody was."""
    return "" if on_terminal() else "Read the above, then call it again with --yes."


def confirm(text: str) -> bool:
    """Whether the person says yes; anything else, and no terminal, is a no."""
    if not on_terminal():
        return False
    piece(f"{clean_line(text)} [yes/no] ")
    return sys.stdin.readline().strip().lower() in ("yes", "y")
