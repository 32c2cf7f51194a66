"""What is known of an inference server whichever way it is laid out on hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sparkrun_tui.engines.flags import FlagTable


def one_model(_: Sequence[str], __: bool) -> int:
    """One word may stand without a flag: the model."""
    return 1


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an engine's own parser reads its command line.

    `first_argument` is the index behind the words that start the server, None where they do not.
    `loose` says how many words may stand without a flag, given the words and whether the model has a flag; None where
    nobody counts them. `switch_words` are taken by values whose known words hold `on`. `gone` maps a flag of earlier
    versions to what to write instead.
    """

    first_argument: Callable[[Sequence[str]], int | None]
    equals: bool = True
    """Whether `--flag=value` is read."""
    underscores: bool = False
    """Whether `--max_model_len` is `--max-model-len`."""
    abbreviations: bool = True
    """Whether the beginning of a long flag stands for it."""
    nested: bool = False
    """Whether `--flag.key value` sets one key of a JSON flag, and `-O2` the level of optimisation."""
    model_flag: str = ""
    loose: Callable[[Sequence[str], bool], int] | None = one_model
    switch_words: frozenset[str] = frozenset()
    gone: Mapping[str, str] = field(default_factory=dict)

    def starts(self, words: Sequence[str]) -> bool:
        """Whether these are the words of the server's start."""
        return self.first_argument(words) is not None


@dataclass(frozen=True, slots=True)
class Starter:
    """The command of a new recipe: the words it begins with, keys by line, and lines that are the same for all."""

    begin: str
    lines: tuple[tuple[str, ...], ...]
    more: tuple[str, ...] = ()
    local: tuple[str, str] = ("", "")
    """What to write instead where the model is a path: the old text and the new one."""


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """An inference server: its flags and how it reads them.

    `known_version` is the version whose flags are shipped; `image_words` is a pattern that an image's labels hold.
    `start` are the words before the model in a command that is built from values.
    """

    name: str
    title: str
    program: str
    """How people call the program that serves: `llama-server`."""
    known_version: str
    flags: FlagTable
    dialect: Dialect
    start: tuple[str, ...]
    starter: Starter
    image_words: str
    secret_variables: Mapping[str, str] = field(default_factory=dict)
    """Flags that give a secret, by their long spelling, and the variable that the engine reads in place of each."""
    build_numbers: bool = False
    """Whether its versions are build numbers (`b11669`) and not releases."""

    @property
    def known_title(self) -> str:
        """The program and the version whose flags are known: `vLLM 0.32.0`."""
        return f"{self.program} {self.known_version}"
