"""What is known of an inference server, independent of its layout on hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.flags import FlagTable, Read
from sparkrun_tui.engines.logs.causes import Cause
from sparkrun_tui.engines.logs.rules import NO_LOG, LogRules
from sparkrun_tui.engines.values import PLAIN, Numbers
from sparkrun_tui.recipe.values.rendered import Rendered


def one_model(_: Sequence[str], __: bool) -> int:
    """One positional word is allowed: the model."""
    return 1


def unchanged(rendered: Rendered) -> Rendered:
    """The values as they are."""
    return rendered


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an engine's own parser reads its command line.

    `first_argument` gives the index after the words that start the server, None where the words do not start it.
    `loose` gives the number of positional words allowed, from the words and whether the model is given by a flag; None
    where they are not counted. `switch_words` are accepted by flags that have `on` among their choices. `gone` maps a
    flag of earlier versions to what to write instead.
    """

    first_argument: Callable[[Sequence[str]], int | None]
    equals: bool = True
    """Whether `--flag=value` is read."""
    underscores: bool = False
    """Whether `--max_model_len` is `--max-model-len`."""
    abbreviations: bool = True
    """Whether a long flag may be abbreviated to its beginning."""
    model_once: bool = False
    """Whether a model as a word is refused beside `model_flag`."""
    model_flag_since: str = ""
    """The first version that takes `model_flag`, where earlier ones refused it; empty where all do."""
    nested: bool = False
    """Whether `--flag.key value` sets one key of a JSON flag, and `-O2` the level of optimisation."""
    model_flag: str = ""
    loose: Callable[[Sequence[str], bool], int] | None = one_model
    switch_words: frozenset[str] = frozenset()
    gone: Mapping[str, str] = field(default_factory=dict)
    numbers: Numbers = PLAIN
    """How it reads the whole numbers of flags."""
    long_numbers: Numbers = PLAIN
    """How it reads those of `long_flags`."""
    long_flags: frozenset[str] = frozenset()
    """Flags, by their first spelling, whose numbers may have a suffix such as `128k`."""

    def numbers_of(self, flag: str) -> Numbers:
        """How the whole number of a flag, by its first spelling, is read."""
        if flag in self.long_flags:
            return self.long_numbers
        return self.numbers

    def starts(self, words: Sequence[str]) -> bool:
        """Whether these words start the server."""
        return self.first_argument(words) is not None


@dataclass(frozen=True, slots=True)
class Starter:
    """The command of a new recipe: the words it begins with, keys by line, and lines that are the same for all."""

    begin: str
    lines: tuple[tuple[str, ...], ...]
    more: tuple[str, ...] = ()
    local: tuple[str, str] = ("", "")
    """Text of a line, and what replaces it where the model is a path."""
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
    """The names of an engine's figures on its Prometheus page; of several names, the first one on the page is used.

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
class KeyPlaces:
    """Where an engine's server gets the API keys from that requests must send, in the order in which it looks.

    `flags` and `files` are long spellings of flags, the latter for a file with one key on each line. With a
    `separator`, one value may hold several keys; any of them is accepted.
    """

    flags: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    separator: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that sets a field of `memory.settings.EngineSettings`, as `read` turns its text."""

    name: str
    sets: str
    read: Read = str


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """An inference server: its flags and how it reads them, its log, its causes of failure, its images.

    Everything that the program needs to know about an engine is a field here. The fields after `image_words` may be
    left out; what they describe then stays unknown. `tests/engines/test_conformance.py` names each part that is left
    out without an entry in `lacks`.
    """

    name: str
    title: str
    program: str
    """The name of the program that serves: `llama-server`."""
    known_version: str
    """The version whose flags are shipped."""
    flags: FlagTable
    dialect: Dialect
    start: tuple[str, ...]
    """The words before the model in a command that is built from values."""
    starter: Starter
    image_words: str
    """A pattern that is found in the labels of its images."""
    caches: Mapping[str, str] = field(default_factory=dict)
    """Folders of a container that are kept on the host, since they save compiling: name to path in the container."""
    log_words: tuple[str, ...] = ()
    """Words that its log has in many lines and those of others have in few."""
    modules: tuple[str, ...] = ()
    """Names of Python modules that its images must have."""
    secret_variables: Mapping[str, str] = field(default_factory=dict)
    """Flags that pass a secret, by their long spelling, and the variable that the engine reads instead of each."""
    keys: KeyPlaces = KeyPlaces()
    """Where its server gets its API keys from."""
    offers: tuple[tuple[str, str, str], ...] = ()
    """Flags that say what its server answers, where that is not text: flag, value (empty: any), a name of `offers`."""
    build_numbers: bool = False
    """Whether its versions are build numbers (`b11669`) instead of releases."""
    first_version: str = ""
    """The oldest version that recipes are written for; a lower number in an image's tag is the image's own."""
    dated_tags: bool = False
    """Whether a date in an image's tag says which release was current."""
    tag_versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the engine by image tag, for images with a numbering of their own."""
    variables: tuple[Variable, ...] = ()
    """Variables of the environment that change how much memory it takes."""
    log: LogRules = NO_LOG
    causes: tuple[Cause, ...] = ()
    """Why it does not start or dies, by the lines it prints; the first rule that matches a line is used."""
    metrics: MetricNames = MetricNames()
    metrics_flag: str = ""
    """The flag without which its server has no Prometheus page; empty where it always has one."""
    loading_status: int = 0
    """The HTTP status of `/health` while a model is loaded; 0 where it does not answer before it serves."""
    argument_prefix: str = ""
    """How variables begin that give a flag its value: `LLAMA_ARG_` and the long flag in capitals; empty without any."""
    gguf: bool = False
    """Whether it serves one GGUF file, whose quantisation follows the model: `OWNER/NAME:Q4_K_M`."""
    several_hosts: str = ""
    """What limits its use on several hosts, in a few words; empty where nothing does."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Parts that it lacks, and why: what needs them says `not known`. The names are those of the conformance test."""
    official_images: tuple[str, ...] = ()
    """The images that its makers publish, without a tag, and that hold the program as it is."""
    divides_ranks: tuple[str, ...] = ()
    """Settings with which data parallelism divides the tensor-parallel ranks, instead of multiplying them."""
    prepared: Callable[[Rendered], Rendered] = unchanged
    """The values that a command is built from, where some of them depend on others."""
    start_with_path: tuple[str, ...] = ()
    """The words before a model that is given by a path, where they differ from `start`."""
    forks: tuple[str, ...] = ()
    """Words in the names of images that hold a fork of this program, with flags of its own."""
    fork_flags: frozenset[str] = frozenset()
    """Flags that only a fork or a plugin has, and that hand the command over to it."""
    rank_flags: frozenset[str] = frozenset()
    """Flags that a plan adds for each of several hosts, as the engine's help shows them."""

    @property
    def folder(self) -> str:
        """The name of its folder in `engines`, in `memory` and in the demo."""
        return self.name.replace("-", "_")

    def fork_in(self, image: str) -> str:
        """The word of `forks` in an image's name; empty where there is none."""
        name = image.lower().replace("_", "-")
        for word in self.forks:
            if word in name:
                return word
        return ""

    @property
    def known_title(self) -> str:
        """The program and the version whose flags are known: `vLLM 0.32.0`."""
        return f"{self.program} {self.known_version}".rstrip()
