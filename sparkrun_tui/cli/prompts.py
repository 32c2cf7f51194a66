"""Questions at the terminal: host keys, passphrases and consent. Without a terminal every answer is no."""

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
from sparkrun_tui.remote.ssh.host_key_policy import YES, HostKeyQuestion, LoginNotice, Question

if TYPE_CHECKING:
    from sparkrun_tui.recipe.trust import Demand

_SERIOUS = "!"


def on_terminal() -> bool:
    """Whether a question can be shown and answered."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def asker() -> Asker | None:
    """What answers the questions of SSH connections; None without a terminal, and then such hosts are refused."""
    return Asker() if on_terminal() else None


class Asker:
    """Asks one question at a time, also when several hosts connect in parallel, without blocking the event loop."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def __call__(self, question: Question) -> str | None:
        """The answer; None when there is none."""
        if isinstance(question, LoginNotice):
            say_notice(question)
            return None
        async with self._turn:
            if isinstance(question, HostKeyQuestion):
                return await _aside(lambda: _host_key(question))
            text = f"Passphrase of {question.path} (for {question.host}): "
            if question.again:
                text = f"That passphrase was wrong. {text}"
            return await _aside(lambda: _hidden(clean_line(text)))


def say_notice(notice: LoginNotice) -> None:
    """Print what a host says at the login."""
    for line in notice.text.split("\n"):
        say(f"{notice.host} says: {line}")
    if notice.link:
        say(f"{notice.host} waits for you to log in there: {notice.link}")


async def _aside(question: Callable[[], str | None]) -> str | None:
    """Ask in a daemon thread, so that ctrl+c does not wait for a line. Terminal echo is restored at exit."""
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
    """Print what a third-party recipe does; whether the user agrees. `yes` means that they already have."""
    say_demands(about, wanted)
    return yes or confirm(doing)


def say_demands(about: str, wanted: Sequence[Demand]) -> None:
    """Print what a third-party recipe does."""
    say(f"{about}. What it does:")
    for demand in wanted:
        sign = _SERIOUS if demand.is_risky else "-"
        say(f"  {sign} {demand.title}")
        if not demand.detail:
            continue
        for text in demand.detail.split("\n"):
            say(f"      {text}")


def how_to_agree() -> str:
    """What to do when the question could not be asked; empty when it was."""
    return "" if on_terminal() else "Read the above, then run the command again with --yes."


def confirm(text: str) -> bool:
    """Whether the user answers yes; any other answer, and no terminal, counts as no."""
    if not on_terminal():
        return False
    piece(f"{clean_line(text)} [yes/no] ")
    return sys.stdin.readline().strip().lower() in ("yes", "y")
