"""What a benchmark asks for: how many requests at once, and how long prompts and answers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from pathlib import Path

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line

MOST_AT_ONCE = 512
MOST_TOKENS = 2_000_000
MOST_RUNS = 20
_MOST_VALUES = 16
_MOST_REQUESTS = 20_000


@dataclass(frozen=True, slots=True)
class Options:
    """Lengths are tokens. Every combination of the lists is measured, `runs` times after one run to warm up."""

    concurrency: tuple[int, ...] = (1, 2, 4, 8)
    prompt: tuple[int, ...] = (2048,)
    output: tuple[int, ...] = (128,)
    depth: tuple[int, ...] = (0,)
    """Tokens of context before the prompt."""
    runs: int = 3
    tokenizer: str = ""
    """A repository of the Hub or a file `tokenizer.json`; empty: that of the served model."""
    text: Path | None = None
    """A file with the text that prompts are cut from; None: the book that the client downloads."""

    @property
    def requests(self) -> int:
        """The requests that are measured; those that warm up are not among them."""
        combinations = len(self.prompt) * len(self.output) * len(self.depth)
        return combinations * sum(self.concurrency) * self.runs


@dataclass(frozen=True, slots=True)
class Typed:
    """The options as a person has typed them; empty is the default."""

    concurrency: str = ""
    prompt: str = ""
    output: str = ""
    depth: str = ""
    runs: str = ""
    tokenizer: str = ""
    text: Path | None = None
    names: tuple[str, ...] = field(default=("--concurrency", "--prompt", "--output", "--depth", "--runs"))
    """What the person knows the values by, for messages."""


def options_of(typed: Typed) -> Options:
    """The options. Raises `UsageError` for what is no list of whole numbers within bounds, and for too much of it."""
    usual = Options()
    concurrency, prompt, output, depth, runs = typed.names
    options = Options(
        concurrency=_numbers(typed.concurrency, concurrency, 1, MOST_AT_ONCE) or usual.concurrency,
        prompt=_numbers(typed.prompt, prompt, 1, MOST_TOKENS) or usual.prompt,
        output=_numbers(typed.output, output, 1, MOST_TOKENS) or usual.output,
        depth=_numbers(typed.depth, depth, 0, MOST_TOKENS) or usual.depth,
        runs=(_numbers(typed.runs, runs, 1, MOST_RUNS) or (usual.runs,))[0],
        tokenizer=typed.tokenizer.strip(),
        text=typed.text,
    )
    if options.tokenizer.startswith("-"):
        raise UsageError("a tokenizer is a repository of the Hub, or the path of a file tokenizer.json")
    if options.requests > _MOST_REQUESTS:
        raise UsageError(
            f"these are {options.requests:,} requests, more than {_MOST_REQUESTS:,}",
            remedy="give fewer values or fewer runs",
        )
    return options


def _numbers(text: str, name: str, least: int, most: int) -> tuple[int, ...]:
    """The whole numbers of a list with commas or blanks, each once, in their order."""
    words = text.replace(",", " ").split()
    if len(words) > _MOST_VALUES:
        raise UsageError(f"{name}: {len(words)} values are more than {_MOST_VALUES}")
    found: dict[int, None] = {}
    for word in words:
        number = whole(word, least=least, most=most)
        if number is None:
            raise UsageError(
                f"{name}: `{clean_line(word)[:40]}` is not a whole number from {least:,} to {most:,}",
                remedy="separate several with commas: 1,2,4",
            )
        found[number] = None
    return tuple(found)


def spelled(numbers: Sequence[int]) -> str:
    """Numbers as `options_of` reads them."""
    return ",".join(str(number) for number in numbers)
