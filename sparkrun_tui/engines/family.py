"""What is known of an inference server whichever way it is laid out on hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sparkrun_tui.engines.flags import FlagTable, Read
from sparkrun_tui.engines.logs.causes import Cause
from sparkrun_tui.engines.logs.rules import NO_LOG, LogRules


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
    gone_since: Mapping[str, str] = field(default_factory=dict)
    """The first version without a flag of `gone`, where it is known."""

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
    defaults: tuple[str, ...] = (
        "tensor_parallel: {nodes}",
        "gpu_memory_utilization: {utilisation}",
        "max_model_len: {context}",
        "max_num_seqs: 8",
    )
    """Lines of `defaults` beside address and name, with what is known filled in."""
    one_host: bool = False
    """Whether a new recipe is for one host only."""


@dataclass(frozen=True, slots=True)
class MetricNames:
    """What an engine's Prometheus page calls its figures; of several names for one the first that is there counts.

    `kv_usage` is a fraction from 0 to 1, `generated` and `prompted` are counters of tokens, `throughput` is tokens
    per second.
    """

    running: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    kv_usage: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()
    prompted: tuple[str, ...] = ()
    throughput: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that sets a field of `memory.settings.EngineSettings`, as `read` turns its text."""

    name: str
    sets: str
    read: Read = str


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """An inference server: its flags and how it reads them, its log, its causes of failure, its images.

    All that the program asks of an engine by its name is asked here. What stands after `image_words` may be left out:
    nothing is known of it then, and nothing is made up. `tests/engines/test_conformance.py` names what is left out
    without a word in `lacks`.
    """

    name: str
    title: str
    program: str
    """How people call the program that serves: `llama-server`."""
    known_version: str
    """The version whose flags are shipped."""
    flags: FlagTable
    dialect: Dialect
    start: tuple[str, ...]
    """The words before the model in a command that is built from values."""
    starter: Starter
    image_words: str
    """A pattern that the labels of its images hold."""
    modules: tuple[str, ...] = ()
    """Names of Python modules that its images must have."""
    secret_variables: Mapping[str, str] = field(default_factory=dict)
    """Flags that give a secret, by their long spelling, and the variable that the engine reads in place of each."""
    build_numbers: bool = False
    """Whether its versions are build numbers (`b11669`) and not releases."""
    first_version: str = ""
    """The oldest version that recipes are written for; a lower number in an image's tag is the image's own."""
    dated_tags: bool = False
    """Whether a date in an image's tag tells the release that was current."""
    tag_versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the engine by the tag of images that count otherwise."""
    variables: tuple[Variable, ...] = ()
    """Variables of the environment that change how much memory it takes."""
    log: LogRules = NO_LOG
    causes: tuple[Cause, ...] = ()
    """Why it does not start or dies, by the lines it prints; of several for one line the first counts."""
    metrics: MetricNames = MetricNames()
    loading_status: int = 0
    """What `/health` answers while a model is loaded; 0 where it does not answer before it serves."""
    gguf: bool = False
    """Whether it serves one GGUF file, which is named behind the model: `OWNER/NAME:Q4_K_M`."""
    several_hosts: str = ""
    """A reservation about more than one host, in a few words; empty where that is usual."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Parts that it does without, and why: what needs them says `not known`. The names are those of the test."""
    forks: tuple[str, ...] = ()
    """Words in the names of images that hold a program grown out of this one, with flags of its own."""

    @property
    def folder(self) -> str:
        """The name of its folder in `engines`, in `memory` and in the demo."""
        return self.name.replace("-", "_")

    def fork_in(self, image: str) -> str:
        """The word of `forks` that an image's name holds, empty without one."""
        name = image.lower().replace("_", "-")
        return next((word for word in self.forks if word in name), "")

    @property
    def known_title(self) -> str:
        """The program and the version whose flags are known: `vLLM 0.32.0`."""
        return f"{self.program} {self.known_version}".rstrip()
