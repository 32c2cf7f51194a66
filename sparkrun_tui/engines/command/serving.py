"""The port and the model name of a serve command, read from its words, else from the chain of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.command.built import value_text
from sparkrun_tui.engines.command.shell_edit import ServeTest, assignments, find_serve, last_value, plain_value
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.recipe.values.shell_scanner import Command


@dataclass(frozen=True, slots=True)
class ServeCommand:
    """The command of a script that starts the server: its words (empty when none is found) and the variables."""

    words: Command
    variables: Mapping[str, str] = field(default_factory=dict)

    def value(self, flags: Sequence[str]) -> str | None:
        """The value of the last of `flags`, variables filled in; None when it is not given or not plain."""
        text = last_value(self.words, flags)
        if text is None:
            return None
        return plain_value(text, self.variables)

    def given(self, flags: Sequence[str]) -> bool:
        """Whether the command has any of the flags."""
        return last_value(self.words, flags) is not None

    def after(self, word: str) -> str | None:
        """The argument right after `word`, None when there is none or it is not plain."""
        texts = [item.text for item in self.words]
        if word not in texts:
            return None
        at = texts.index(word) + 1
        if at >= len(texts) or texts[at].startswith("-"):
            return None
        return plain_value(texts[at], self.variables)


def locate(
    script: str, serves: ServeTest, env: Mapping[str, str] | None = None, *, strict: bool = False
) -> ServeCommand:
    """The command of a script that starts the server, with variables from the environment and the script itself.

    A script that is not valid shell has no words; with `strict`, for callers that must add words, it raises
    `LaunchError` instead.
    """
    try:
        words = find_serve(script, serves) or ()
        return ServeCommand(words, {**(env or {}), **assignments(script)})
    except ValueError as error:
        if not strict:
            return ServeCommand(())
        raise LaunchError(
            f"the command is not valid shell: {error}", remedy="close the quote or bracket in the recipe's command"
        ) from error


def port_of(rendered: Rendered, command: ServeCommand, default: int) -> int:
    """The port the command will listen on. Raises `LaunchError` when it is not a port."""
    text = command.value(("--port",))
    if text is None and (command.given(("--port",)) or not command.words):
        text = value_text("port", rendered)
    text = text or str(default)
    port = whole(text, least=1, most=65_535)
    if port is None:
        spot = None
        found = rendered.chain.get("port")
        if found is not None:
            spot = found.value.spot
        raise LaunchError(
            f"`{shorten(text, 60)}` is not a port", spot=spot, remedy="use a whole number from 1 to 65535"
        )
    return port


def served_name_of(rendered: Rendered, command: ServeCommand, flags: Sequence[str], model: str | None) -> str:
    """The first name under which the model is served: the flag's, else `model` (the command's own), else the chain's.

    Without a name, engines serve a model under the text that it was given by.
    """
    text = command.value(flags)
    if text is None and (command.given(flags) or not command.words):
        text = value_text("served_model_name", rendered)
    return text or model or value_text("model", rendered, rendered.recipe.model)
