"""The filter that masks secrets in everything the command line prints, on stdout and on stderr.

It starts with the secrets in this machine's environment. Code that reads more of them (the user's settings, overrides,
a recipe) adds them before it prints anything. It is made when something is first printed or masked: `--help` and
`--version`, which click prints, need none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sparkrun_tui.base.text import escape_hidden

if TYPE_CHECKING:
    from sparkrun_tui.base.secrets import Redactor, Secret
    from sparkrun_tui.recipe.model import Recipe


class Gate:
    """Masks the secrets it knows. There is one for each run of a command."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        from sparkrun_tui.base.secrets import Redactor, secrets_of

        self._redact = Redactor(secrets_of(environ))

    def hide(self, secrets: Iterable[Secret | str]) -> None:
        """Mask these as well from now on."""
        self._redact = self._redact.plus(secrets)

    @property
    def redact(self) -> Redactor:
        """The current filter."""
        return self._redact

    def json(self, value: Any, indent: int | None = None) -> str:
        """`value` as JSON without secrets; characters that could harm a terminal or an encoding are escaped."""
        text = json.dumps(self._redact.data(value), indent=indent, ensure_ascii=False, default=str)
        return escape_hidden(text)


_gate: Gate | None = None


def gate() -> Gate:
    """The filter of this run of the program."""
    global _gate
    if _gate is None:
        _gate = Gate(os.environ)
    return _gate


def renew() -> None:
    """Start a new run, whose filter knows no secret of an earlier one."""
    global _gate
    _gate = None


def hide_overrides(overrides: Mapping[str, object]) -> None:
    """Mask the secrets among overrides or the user's defaults."""
    if not overrides:
        return
    from sparkrun_tui.recipe.values.masking import private_texts

    gate().hide(private_texts(overrides))


def hide_recipe(recipe: Recipe) -> None:
    """Mask the secrets written in a recipe."""
    from sparkrun_tui.recipe.values.masking import secrets_of_recipe

    gate().hide(secrets_of_recipe(recipe))
