"""Other values for one launch: `-o`, `--image`, `-e`, the short options, and flags for the engine behind `--`.

They become one mapping of overrides (`recipe.values.launch_keys`), so that all commands treat them alike.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.cli.completions import overrides, variable_names
from sparkrun_tui.cli.gate import hide_overrides

if TYPE_CHECKING:
    from sparkrun_tui.recipe.model import Recipe
    from sparkrun_tui.recipe.values.launch_keys import Kind
    from sparkrun_tui.recipe.values.rendered import Rendered

F = TypeVar("F", bound=Callable[..., Any])
_FLAGS = "sparkrun_tui.engine_flags"
"""The key of `ctx.meta` that holds the words behind `--`."""


@dataclass(frozen=True, slots=True)
class Short:
    """An option that sets one key: its spellings, the one to show first, and the value as its help writes it."""

    key: str
    spellings: tuple[str, ...]
    value: str

    @property
    def parameter(self) -> str:
        """The name under which click passes the option's value."""
        return f"short_{self.key}"

    @property
    def help(self) -> str:
        """What the option does, in a sentence."""
        return f"Same as {shell.override(self.key, self.value)}."


SHORT = (
    Short("port", ("--port",), "PORT"),
    Short("tensor_parallel", ("--tp", "--tensor-parallel"), "N"),
    Short("pipeline_parallel", ("--pp", "--pipeline-parallel"), "N"),
    Short("data_parallel", ("--dp", "--data-parallel"), "N"),
    Short("gpu_memory_utilization", ("--gpu-mem", "--gpu-memory-utilization", "--mem-fraction-static"), "F"),
    Short("max_model_len", ("--max-model-len",), "N"),
    Short("served_model_name", ("--served-model-name",), "NAME"),
)
"""The options that set one key, in the order of the help."""


class OverridingCommand(click.Command):
    """A command whose words behind `--` are flags for the engine."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set the words behind `--` aside, and parse the others."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[_FLAGS] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage line, with the flags for the engine."""
        return [*super().collect_usage_pieces(ctx), "[-- ENGINE FLAGS]"]


@dataclass(frozen=True, slots=True)
class Typed:
    """The overrides as typed on the command line."""

    options: tuple[str, ...] = ()
    short: tuple[tuple[str, str], ...] = ()
    image: str | None = None
    env: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    keep: bool = False

    def of(self, recipe: Recipe) -> dict[str, str]:
        """The overrides by key for a recipe.

        Raises `UsageError` for what is not an override, for a key that is given two values, and for a value that its
        key cannot have.
        """
        from sparkrun_tui.recipe.values.masking import shown_settings

        found: dict[str, str] = {}
        for key, value in self._pairs(recipe):
            hide_overrides({key: value})
            if found.get(key, value) != value:
                shown = shown_settings({key: found[key]}), shown_settings({key: value})
                raise UsageError(f"`{key}` is given twice: {shown[0][key]} and {shown[1][key]}")
            found[key] = value
        _refuse_wrong(recipe, found)
        return found

    def _pairs(self, recipe: Recipe) -> Iterator[tuple[str, str]]:
        from sparkrun_tui.recipe.values.launch_keys import ENV, FLAGS, IMAGE, KEPT, RESTART, Kind, flags_text
        from sparkrun_tui.recipe.values.overrides import parse_assignment

        for text in self.options:
            yield parse_assignment(text)
        yield from self.short
        if self.image is not None:
            _insist_on(recipe, IMAGE, Kind.IMAGE, "--image")
            yield IMAGE, self.image
        for text in self.env:
            name, value = _variable(text)
            _insist_on(recipe, f"{ENV}{name}", Kind.ENV, "-e")
            yield f"{ENV}{name}", value
        if self.keep:
            _insist_on(recipe, RESTART, Kind.RESTART, "--keep")
            yield RESTART, KEPT
        if self.flags:
            _insist_on(recipe, FLAGS, Kind.FLAGS, "the flags behind --")
            yield FLAGS, flags_text(self.flags)


def _insist_on(recipe: Recipe, key: str, kind: Kind, given: str) -> None:
    """Raise `UsageError` where an option would change a value that the author has given the name of its key."""
    from sparkrun_tui.recipe.values.launch_keys import kind_of

    if kind_of(recipe, key) is not kind:
        raise UsageError(
            f"this recipe has a value of its own called `{key}`, so that {given} would not do what it says",
            remedy=f"remove it from the recipe's `defaults`, or set that value with -o {key}=...",
        )


def override_options(function: F) -> F:
    """The options that override a recipe's values; the function gets them as one argument, `typed`."""

    @functools.wraps(function)
    def call(**given: Any) -> Any:
        ctx = click.get_current_context()
        short = []
        for option in SHORT:
            value = given.pop(option.parameter)
            if value is not None:
                short.append((option.key, value))
        typed = Typed(
            options=given.pop("options"),
            short=tuple(short),
            image=given.pop("image"),
            env=given.pop("env"),
            flags=ctx.meta.get(_FLAGS, ()),
        )
        return function(typed=typed, **given)

    wrapped: Any = call
    for decorate in reversed(_OPTIONS):
        wrapped = decorate(wrapped)
    result: F = wrapped
    return result


_OPTIONS = (
    click.option(
        "-o",
        "--option",
        "options",
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=overrides,
        help="Override any value of the recipe; KEY.PART=VALUE one part of a mapping.",
    ),
    *(
        click.option(*option.spellings, option.parameter, default=None, metavar=option.value, help=option.help)
        for option in SHORT
    ),
    click.option("--image", default=None, metavar="IMAGE", help="Use this container image."),
    click.option(
        "-e",
        "--env",
        "env",
        multiple=True,
        metavar="NAME[=VALUE]",
        shell_complete=variable_names,
        help="Set a variable in the containers; NAME alone takes the value that it has here.",
    ),
)


def _variable(text: str) -> tuple[str, str]:
    """The name and the value of a variable as typed; the value of a name alone is a reference. Raises `UsageError`."""
    from sparkrun_tui.base.reading.identifiers import variable_name

    name, equals, value = text.partition("=")
    if variable_name(name) is None:
        # What is behind the sign may be a secret.
        shown = f"{name[:60]}=…" if equals else name[:60]
        raise UsageError(
            f"`{shown}` does not begin with the name of a variable", remedy="write it as NAME or NAME=VALUE"
        )
    if equals:
        return name, value
    if name not in os.environ:
        raise UsageError(f"`{name}` is not set here", remedy="set it first, or write -e NAME=VALUE")
    return name, f"${{{name}}}"


def _refuse_wrong(recipe: Recipe, found: dict[str, str]) -> None:
    """Raise `UsageError` for the first value that its key cannot have."""
    from sparkrun_tui.engines.fields.filled import field_of
    from sparkrun_tui.recipe.format.hooks import RESTART_POLICY
    from sparkrun_tui.recipe.names.images import parse_image
    from sparkrun_tui.recipe.values.launch_keys import ENV, FlagsError, Kind, PartError, flag_words, kind_of, part_of
    from sparkrun_tui.recipe.values.masking import shown_settings

    for key, text in found.items():
        match kind_of(recipe, key):
            case Kind.IMAGE:
                if parse_image(text.strip()) is None:
                    raise UsageError(f"`{text[:80]}` is not an image", remedy="write it as [REGISTRY/]NAME:TAG")
            case Kind.ENV:
                _variable(f"{key.removeprefix(ENV)}=")
            case Kind.RESTART:
                if RESTART_POLICY.fullmatch(text.strip()) is None:
                    remedy = "write no, always, unless-stopped, on-failure or on-failure:TIMES"
                    raise UsageError(f"`{text[:40]}` is not a restart policy", remedy=remedy)
            case Kind.FLAGS:
                try:
                    flag_words(text)
                except FlagsError as error:
                    raise UsageError(str(error)) from None
            case Kind.VALUE:
                field = field_of(recipe, key)
                own = recipe.defaults.get(key)
                # An author may use a well-known key for something else.
                is_usual = field.known and (own is None or not field.check(own.text))
                wrong = field.check(text) if is_usual else ""
                if wrong:
                    shown = shown_settings({key: text})[key]
                    raise UsageError(f"`{key}` {wrong}, and `{shown}` is not", remedy=field.help)
            case Kind.PART:
                from sparkrun_tui.recipe.values.launch_keys import root_of

                try:
                    part_of(recipe.defaults.get(root_of(key)), key)
                except PartError as error:
                    raise UsageError(str(error)) from None


def refuse_wrong_parts(rendered: Rendered) -> None:
    """Raise `UsageError` for overrides that the rendered recipe has no place for."""
    for problem in rendered.problems:
        if problem.code in ("override-part", "extra-flags"):
            raise UsageError(problem.message, remedy=problem.remedy)
