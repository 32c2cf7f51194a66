"""Which projector a recipe wants: the one its command names, the one of its key `mmproj`, or the repository's own.

llama-server takes the projector of a repository by itself where the model is given by `-hf`. Launches give it by `-m`,
with which it takes none, so the projector is fetched with the model and passed as `--mmproj`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.command.serving import ServeCommand
from sparkrun_tui.engines.command.shell_edit import plain_value
from sparkrun_tui.engines.llama_cpp.gguf_files import OWN_PROJECTOR
from sparkrun_tui.recipe.format.extensions import NO_PROJECTOR
from sparkrun_tui.recipe.format.hooks import model_on_hosts
from sparkrun_tui.recipe.names.detect import split_gguf
from sparkrun_tui.recipe.names.local_model import is_path
from sparkrun_tui.recipe.values.rendered import Rendered, value_text
from sparkrun_tui.recipe.values.shell_scanner import Command

KEY = "mmproj"
HF_FLAGS = ("-hf", "-hfr", "--hf-repo", "--hf_repo")
MODEL_FLAGS = ("-m", "--model")
MMPROJ_FLAGS = ("-mm", "--mmproj")
_REFUSES = ("--no-mmproj", "--no-mmproj-auto", "--no_mmproj", "--no_mmproj_auto")
_ELSEWHERE = ("-mmu", "--mmproj-url", "--mmproj_url")
_AUTO = frozenset({"auto", "true", "on", "yes", "1"})
"""Words of the key `mmproj` for the repository's own projector; any other text is a part of a file's name."""
_SET_VARIABLES = ("LLAMA_ARG_MMPROJ", "LLAMA_ARG_MMPROJ_URL")
_SWITCH_VARIABLE = "LLAMA_ARG_MMPROJ_AUTO"
_NO_VARIABLES = ("LLAMA_ARG_NO_MMPROJ", "LLAMA_ARG_NO_MMPROJ_AUTO")
"""The variables that llama-server reads for its flags (common/arg.cpp)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The projector that a launch shall use.

    `pattern`: what to fetch: the name of a file, a part of it, or `OWN_PROJECTOR`; empty for nothing.
    `path`: a path that the recipe itself names, which is passed as it is.
    `in_command`: whether the command has the flag, so that only its value is replaced.
    """

    pattern: str = ""
    path: str = ""
    in_command: bool = False

    @property
    def own(self) -> bool:
        """Whether it is the repository's projector, if it has one."""
        return self.pattern == OWN_PROJECTOR


NO_WISH = Wish()


def wish_of(rendered: Rendered, said: ServeCommand) -> Wish:
    """The projector that a recipe wants. `said` is its serve command."""
    words = said.words
    flags = [head for head, _ in flags_of(words)]
    if any(head in (*_REFUSES, *_ELSEWHERE) for head in flags):
        return NO_WISH
    if any(head in MMPROJ_FLAGS for head in flags):
        text = said.value(MMPROJ_FLAGS)
        if text is None or is_path(rendered.recipe.model):
            return Wish(in_command=True)
        return _read(text, in_command=True)
    if is_path(rendered.recipe.model):
        model = model_on_hosts(rendered.recipe)
        return Wish(path=model.projector) if model is not None else NO_WISH
    if _variables_decide(rendered) or not loads_model(said, rendered.recipe.model):
        return NO_WISH
    link = rendered.chain.get(KEY)
    if link is None:
        return Wish(OWN_PROJECTOR)
    return _read(value_text(link.value), in_command=False)


def _read(text: str, *, in_command: bool) -> Wish:
    """The wish that a word of the key or of the flag expresses."""
    word = text.strip().lower()
    if word in NO_PROJECTOR:
        return Wish(in_command=in_command)
    if not word or word in _AUTO:
        return Wish(OWN_PROJECTOR, in_command=in_command)
    if text.startswith(("/", "~", ".")):
        return Wish(path=text, in_command=in_command)
    return Wish(text.strip(), in_command=in_command)


def is_word(text: str) -> bool:
    """Whether the value of `--mmproj` is a word for this program, and not the name of a file or a path."""
    return text.strip().lower() in NO_PROJECTOR | _AUTO or not text


def _variables_decide(rendered: Rendered) -> bool:
    """Whether variables of the recipe name a projector or refuse it."""
    env = {name: value.text for name, value in rendered.recipe.env.items()}
    if any(env.get(name) for name in _SET_VARIABLES) or any(name in env for name in _NO_VARIABLES):
        return True
    return env.get(_SWITCH_VARIABLE, "").lower() in NO_PROJECTOR


def loads_model(said: ServeCommand, model: str) -> bool:
    """Whether the command loads the recipe's model from its repository."""
    repo = split_gguf(model)[0].lower()
    for head, text in flags_of(said.words):
        if head not in HF_FLAGS and head not in MODEL_FLAGS:
            continue
        named = plain_value(text, said.variables)
        if named is None:
            # A variable of the environment: nothing else is there to be the model.
            return True
        if split_gguf(named)[0].lower() == repo:
            return True
    return False


def flags_of(words: Command) -> Iterator[tuple[str, str]]:
    """Each word as a flag, with its value."""
    for index in range(len(words)):
        head, value, _ = flag_at(words, index)
        yield head, value


def flag_at(words: Command, index: int) -> tuple[str, str, int]:
    """The word at `index` read as a flag: its name, its value (empty without one), and how many words both take.

    The value follows an equals sign, or is the next word.
    """
    head, equals, value = words[index].text.partition("=")
    if equals:
        return head, value, 1
    if index + 1 == len(words):
        return head, "", 1
    return head, words[index + 1].text, 2
