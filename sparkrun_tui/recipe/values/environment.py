"""Variables of the workstation that a recipe's `env` asks for: their names, which are allowed, and their values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.reading.filling import TooLongError, filled_in
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import looks_secret
from sparkrun_tui.base.text import shorten
from sparkrun_tui.recipe.format.yamltree import MAX_TEXT
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.values.env_fields import FIELD, field_at, protected
from sparkrun_tui.recipe.values.rendered import ChainValue, value_text

_REFERENCE = late_regex(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)")
_FILLED = late_regex(rf"\$\{{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\}}|\$(?P<plain>[A-Za-z_][A-Za-z0-9_]*)|{FIELD}")
_OTHER_FORM = late_regex(r"\$\{[A-Za-z_][A-Za-z0-9_]*[^A-Za-z0-9_}][^}]*\}?")
_ALLOWED = frozenset({
    "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "HF_HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
})  # fmt: skip
_ALLOWED_PREFIXES = ("NCCL_", "VLLM_", "SGLANG_", "CUDA_")
MAX_ENV = 1 << 20
"""The most characters of all of a recipe's variables together, once they are filled in."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A variable of the workstation that the recipe's `env` refers to; its value is never kept here."""

    name: str
    keys: tuple[str, ...]
    """The `env` keys that refer to it."""
    is_set: bool
    allowed: bool
    """Whether it may be read without asking, for recipes that are not the user's own: the user may have given it."""
    secret: bool


def allowed(name: str) -> bool:
    """Whether a variable may be read without asking: tokens of the Hub, engine settings, proxies.

    Secrets among the settings of engines, such as `VLLM_API_KEY`, are not.
    """
    if name in _ALLOWED:
        return True
    return name.startswith(_ALLOWED_PREFIXES) and not looks_secret(name)


def references(text: str) -> tuple[str, ...]:
    """The variables that a text refers to as `${NAME}` or `$NAME`, in order, each once."""
    return tuple(dict.fromkeys(match[1] or match[2] for match in _REFERENCE.finditer(text)))


def unfilled(text: str) -> tuple[str, ...]:
    """The shell references that are not supported here, such as `${NAME:-word}`."""
    return tuple(match.group()[:60] for match in _OTHER_FORM.finditer(text))


def wanted(recipe: Recipe, environ: Mapping[str, str]) -> tuple[Wanted, ...]:
    """The variables of the workstation that the recipe wants; `environ` only shows which of them are set."""
    found: dict[str, list[str]] = {}
    of_author: set[str] = set()
    values = [(key, value, key in recipe.given_env) for key, value in recipe.env.items()]
    for layer in recipe.original.layers:
        # They may hold in the next launch, for which nobody is asked again.
        values += [(key, value, False) for key, value in layer.env.items()]
    for key, value, is_given in values:
        for name in references(value.text):
            keys = found.setdefault(name, [])
            if key not in keys:
                keys.append(key)
            if not is_given:
                of_author.add(name)
    variables = []
    for name, keys in sorted(found.items()):
        may_be_read = name not in of_author or allowed(name)
        variables.append(Wanted(name, tuple(keys), name in environ, may_be_read, looks_secret(name)))
    return tuple(variables)


def reads_text(recipe: Recipe) -> str:
    """The names of the workstation's variables that a recipe wants; empty when it wants none."""
    return ", ".join(want.name for want in wanted(recipe, {}))


def expand_env(
    recipe: Recipe,
    environ: Mapping[str, str],
    consented: Collection[str] | None = None,
    chain: Mapping[str, ChainValue] | None = None,
) -> dict[str, str]:
    """The recipe's `env` with references filled in from `environ`, and `{config.KEY}` from `chain`, in one pass.

    `{launch.FIELD}` is left for `env_fields.with_launch`, which knows the host.
    A variable that is not set stays as it is written. With `consented`, only allowed variables and those named
    there are filled in; None means that the recipe is the user's own and may read any. What the user has set for this
    launch may read any as well.
    Raises `RecipeError` when one value, or all of them together, become too long.
    """

    def value(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"]
        if name:
            may_read = of_user or consented is None or allowed(name) or name in consented
            if may_read and name in environ:
                return protected(environ[name])
            return match.group()
        field, rest = field_at(match)
        if field.space == "launch":
            return match.group()
        if field.literal:
            return field.literal + rest
        link = (chain or {}).get(field.name)
        if link is None or isinstance(link.value.data, (list, dict)):
            # An error of the recipe, which `field_problems` reports.
            return match.group()
        return protected(value_text(link.value)) + rest

    found: dict[str, str] = {}
    room = MAX_ENV
    for key, entry in recipe.env.items():
        of_user = key in recipe.given_env
        try:
            found[key] = filled_in(_FILLED, entry.text, value, min(MAX_TEXT, room))
        except TooLongError:
            raise _too_long(recipe, key) from None
        room -= len(found[key])
    return found


def _too_long(recipe: Recipe, key: str) -> RecipeError:
    names = ", ".join(f"${name}" for name in references(recipe.env[key].text)[:3])
    filled = f" once {names} is filled in" if names else ""
    return RecipeError(
        f"`env.{shorten(key, 60)}` is too long{filled}: a variable may have {MAX_TEXT:,} characters, and all of a"
        f" recipe {MAX_ENV:,}",
        spot=recipe.spots.get(f"env.{key}"),
        remedy="remove the variable from `env`, or refer to it less often",
    )
