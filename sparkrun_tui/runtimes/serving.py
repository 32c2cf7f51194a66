"""Where a serve command will answer and under which name, read from its words, else from the chain of values."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.recipe.rendered import Rendered
from sparkrun_tui.runtimes.commands import value_text
from sparkrun_tui.runtimes.shell_edit import Command, ServeTest, find_serve, last_value


def locate(script: str, serves: ServeTest) -> Command:
    """The command of a script that serves; empty when none is recognised.

    Raises `LaunchError` where the shell syntax is broken, since the container could not run it either.
    """
    try:
        return find_serve(script, serves) or ()
    except ValueError as error:
        raise LaunchError(
            f"the command is not valid shell: {error}", remedy="close the quote or bracket in the recipe's command"
        ) from error


def port_of(rendered: Rendered, words: Command, default: int, flags: Sequence[str] = ("--port",)) -> int:
    """The port the command will listen on. Raises `LaunchError` when it is not a port."""
    text = last_value(words, flags)
    if text is None or "$" in text:
        text = value_text("port", rendered, str(default)) if _speaks_for_itself(rendered, words) else str(default)
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        found = rendered.chain.get("port")
        raise LaunchError(
            f"`{text}` is not a port",
            spot=found.value.spot if found else None,
            remedy="use a whole number from 1 to 65535",
        )
    return int(text)


def _speaks_for_itself(rendered: Rendered, words: Command) -> bool:
    """Whether the chain's port may hold although the command does not say one as a literal."""
    return not words or "port" in rendered.used or any("$" in word.text for word in words) or rendered.command is None


def served_name_of(rendered: Rendered, words: Command, flags: Sequence[str], default: str) -> str:
    """The first name under which the model is served."""
    text = last_value(words, flags)
    if text is None and rendered.command is None:
        text = value_text("served_model_name", rendered)
    if not text or "$" in text:
        return value_text("served_model_name", rendered, default) if text and "$" in text else default
    return text


def flag_given(words: Command, flags: Sequence[str]) -> bool:
    """Whether the command says any of the flags."""
    return last_value(words, flags) is not None
