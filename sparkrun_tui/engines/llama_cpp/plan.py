"""llama.cpp's llama-server: one container that serves one GGUF; other hosts can lend their memory through RPC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.reading.numbers import whole_of
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.engines.command.built import value_text
from sparkrun_tui.engines.command.secret_flags import hand_over
from sparkrun_tui.engines.command.serving import locate, port_of, served_name_of
from sparkrun_tui.engines.command.shell_edit import Splice, insert_after, is_plain, splice, word_at
from sparkrun_tui.engines.engine import Engine
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.layout import hosts as host_rules
from sparkrun_tui.engines.layout.assemble import assemble, need_serve
from sparkrun_tui.engines.layout.caches import HF_HOME
from sparkrun_tui.engines.layout.common import container, role_of
from sparkrun_tui.engines.layout.nccl import free_port
from sparkrun_tui.engines.layout.ready import ready_check
from sparkrun_tui.engines.llama_cpp.family import LLAMA_CPP
from sparkrun_tui.engines.llama_cpp.gguf_files import OWN_PROJECTOR, USUAL_QUANT
from sparkrun_tui.engines.llama_cpp.projector import (
    HF_FLAGS,
    MMPROJ_FLAGS,
    MODEL_FLAGS,
    Wish,
    flag_at,
    is_word,
    loads_model,
    wish_of,
)
from sparkrun_tui.engines.plan import (
    ContainerSpec,
    HostView,
    ModelNeed,
    PlanRequest,
    PortWait,
    RankPlan,
    Role,
    ServePlan,
    Stage,
)
from sparkrun_tui.engines.settings import DEGREES
from sparkrun_tui.memory.settings import MAX_DEGREE
from sparkrun_tui.recipe.format.hooks import container_options, model_on_hosts
from sparkrun_tui.recipe.model import Problem, Severity
from sparkrun_tui.recipe.names.detect import is_repository, split_gguf
from sparkrun_tui.recipe.names.local_model import inside_path, is_path
from sparkrun_tui.recipe.names.mounts import is_below, split_volume
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.recipe.values.shell_scanner import Command, Word

IMAGE_PREFIX = "scitrera/dgx-spark-llama-cpp"
DEFAULT_PORT = 8080
RPC_PORT = 50052
FILE_FLAGS = ("-hff", "--hf-file", "--hf_file")
NAME_FLAGS = ("-a", "--alias")
_OWN = "The projector of the model's repository, if it has one, is fetched and passed as --mmproj."


@dataclass(frozen=True, slots=True)
class LlamaCpp(Engine):
    """llama-server on the head node; more hosts only where the recipe asks for them."""

    name: str = "llama-cpp"
    title: str = "llama.cpp"
    family: Family = LLAMA_CPP
    image_prefix: str = IMAGE_PREFIX

    def host_count(self, rendered: Rendered, available: int, gpus_per_host: int) -> tuple[int, str]:
        """One host, or as many as the recipe's `min_nodes` says. Raises `LaunchError` when there are fewer."""
        least = rendered.recipe.min_nodes
        if least <= 1:
            return 1, "llama.cpp serves from one host"
        host_rules.host_count(rendered, self.family, available, gpus_per_host)
        return (
            least,
            f"the recipe needs at least {least} hosts; the others lend their memory through RPC (experimental)",
        )

    def models(self, rendered: Rendered) -> tuple[ModelNeed, ...]:
        """The files of one quantisation, and its projector: the one that the recipe names, else the repository's."""
        recipe = rendered.recipe
        repo, quant = split_gguf(recipe.model)
        if not is_repository(repo):
            return ()
        said = locate(self.command(rendered), self.family.dialect.starts)
        wish = wish_of(rendered, said)
        patterns = (wish.pattern,) if wish.pattern else ()
        file = said.value(FILE_FLAGS) or quant
        if not file and loads_model(said, recipe.model):
            file = USUAL_QUANT
        needs = [ModelNeed(repo, recipe.model_revision, patterns, file)]
        draft = said.value(("-hfd", "-hfrd", "--hf-repo-draft", "--spec-draft-hf"))
        if draft:
            draft_repo, draft_quant = split_gguf(draft)
            if is_repository(draft_repo):
                needs.append(ModelNeed(draft_repo, gguf_quant=draft_quant or USUAL_QUANT))
        return tuple(needs)

    def check(self, rendered: Rendered) -> tuple[Problem, ...]:
        """What every engine checks, degrees of parallelism, and a projector that is not mounted."""
        shared = [found for found in Engine.check(self, rendered) if not _is_of_degree(found)]
        return (*shared, *_degree_problems(rendered), *self._unmounted_projector(rendered))

    def _unmounted_projector(self, rendered: Rendered) -> Iterator[Problem]:
        recipe = rendered.recipe
        model = model_on_hosts(recipe)
        if model is None:
            return
        said = locate(self.command(rendered), self.family.dialect.starts)
        path = said.value(MMPROJ_FLAGS) or ""
        if not path.lower().endswith(".gguf"):
            return
        if "/" not in path:
            path = f"{model.inside.rpartition('/')[0]}/{path}"
        targets = [split_volume(volume)[1] for volume in (*model.volumes, *container_options(recipe).volumes)]
        if is_below(path, [*targets, HF_HOME]):
            return
        message = f"the projector {path} is not mounted: the container does not see it"
        remedy = f"write `mmproj: {path}` at the top of the recipe, which mounts it"
        yield Problem(Severity.WARNING, "mmproj-path", message, recipe.command_spot, remedy)

    def plan(self, request: PlanRequest) -> ServePlan:
        """One container; with more hosts, rpc-servers on the others (experimental). Raises `LaunchError`."""
        rendered, hosts = request.rendered, request.hosts
        problems = (*_check_hosts(request), *self.check(rendered))
        handed = hand_over(self.command(rendered), request, self.family)
        script, request = handed.script, handed.request
        said = locate(script, self.family.dialect.starts, request.env, strict=len(hosts) > 1)
        name = served_name_of(rendered, said, NAME_FLAGS, value_text("served_model_name", rendered))
        port = free_port(RPC_PORT, hosts[1:])
        notes = handed.notes
        if len(hosts) > 1:
            lenders = ",".join(f"{host.address}:{port}" for host in hosts[1:])
            script = insert_after(script, need_serve(said.words, self.title, request), ("--rpc", lenders))
            warning = f"Experimental: RPC has no password; everyone who reaches port {port} of the workers can use it."
            notes = (*notes, warning)
        # Variables leave the author's command unchanged. Sizes and phases are printed only at level 4, and without an
        # alias the server would call the model by its path.
        engine = {"LLAMA_ARG_LOG_VERBOSITY": "4"}
        if not said.given(NAME_FLAGS):
            engine["LLAMA_ARG_ALIAS"] = name
        wish = wish_of(rendered, said)
        if wish.own and not request.gguf_path and not wish.in_command:
            notes = (*notes, _OWN)
        found = Found(rendered.recipe.model, request.gguf_path, request.gguf_projector)
        script = with_local_model(script, said.words, found, wish)
        ranks = [RankPlan(0, hosts[0].name, role_of(0, len(hosts)), self._container(request, 0, script, engine))]
        for rank, host in enumerate(hosts[1:], start=1):
            lend = shell.script("rpc-server --host {host} --port {port}\n", host=host.address, port=port)
            ranks.append(RankPlan(rank, host.name, Role.WORKER, self._container(request, rank, lend, {})))
        return assemble(
            request,
            self.name,
            self.image(rendered.recipe),
            self.models(rendered),
            ranks,
            _stages(hosts, port),
            ready_check(request, said, self.family, port_of(rendered, said, DEFAULT_PORT), name),
            notes,
            (*problems, *handed.problems),
        )

    def _container(self, request: PlanRequest, rank: int, script: str, extra: Mapping[str, str]) -> ContainerSpec:
        return container(
            request,
            rank,
            engine="llama-cpp",
            image=self.image(request.rendered.recipe),
            script=script,
            env=extra,
            caches=self.family.caches,
            collective=False,
        )


def _is_of_degree(found: Problem) -> bool:
    return found.code == "unused-default" and any(found.message.startswith(f"`{key}` ") for key in DEGREES)


def _degree_problems(rendered: Rendered) -> Iterator[Problem]:
    """Warnings about degrees above 1, which llama-server has no flag for: layers go to the hosts that it gets."""
    for key in DEGREES:
        number = whole_of(rendered.get(key), least=2, most=MAX_DEGREE)
        has_hosts = key != "data_parallel" and number is not None and number <= rendered.recipe.min_nodes
        if number is None or has_hosts:
            continue
        message = f"`{key}` {number} has no effect: llama-server serves from one host, or over those of `min_nodes`"
        remedy = f"write `min_nodes: {number}` to use the memory of {number} hosts"
        if key == "data_parallel":
            message = f"`{key}` {number} has no effect: llama-server runs one copy of the model"
            remedy = "launch it once for each copy, on other hosts or another port"
        yield Problem(Severity.WARNING, "llama-degree", message, rendered.recipe.spots.get(f"defaults.{key}"), remedy)


def _check_hosts(request: PlanRequest) -> tuple[Problem, ...]:
    """The problems of the hosts, without the check of parallel degrees: llama.cpp splits layers, not heads."""
    found = host_rules.check_hosts(request.rendered, LLAMA_CPP, request.hosts)
    return tuple(problem for problem in found if problem.code != "too-few-gpus")


def _stages(hosts: Sequence[HostView], port: int) -> tuple[Stage, ...]:
    """The stages, workers first: the head node connects to all of them when it starts."""
    stages = []
    if len(hosts) > 1:
        first = PortWait(hosts[1].address, port)
        stages.append(Stage("Start the RPC servers", start=tuple(range(1, len(hosts))), wait=first))
    stages += [Stage(f"Wait for {host.name}", wait=PortWait(host.address, port)) for host in hosts[2:]]
    return (*stages, Stage("Start llama-server", start=(0,)))


@dataclass(frozen=True, slots=True)
class Found:
    """A model as the recipe names it, and the paths of its first file and its projector inside the container.

    Both paths are empty until the files have been chosen; the projector's stays empty where there is none.
    """

    model: str
    path: str = ""
    projector: str = ""


def with_local_model(script: str, words: Command, found: Found, wish: Wish) -> str:
    """The script with `-hf model`, in any spelling and place, replaced by `-m path`, and with the projector's path.

    The projector is added behind the model where the command has no flag for it. Without a known path the files are
    searched in the container when it starts. A `-hf` that names another repository is not changed.
    """
    changes: list[Splice] = []
    add_projector = not wish.in_command
    index = 0
    while index < len(words):
        word = words[index]
        head, text, count = flag_at(words, index)
        start = word.start
        if _names_model(head, text, found.model):
            change = f"-m {_first_file(script, word, found)}"
            if add_projector:
                change += _added_projector(script, word, found, wish)
                add_projector = False
        elif head in FILE_FLAGS:
            change = ""
            start = _before(script, word)
        elif head in MMPROJ_FLAGS and (is_word(text) or _is_bare(text)):
            value = _projector(script, word, text, found, wish)
            change = f"{head} {value}"
            if not value:
                change = ""
                start = _before(script, word)
        else:
            index += 1
            continue
        index += count
        changes.append(Splice(start, words[index - 1].end, change))
    return splice(script, changes)


def _names_model(head: str, text: str, model: str) -> bool:
    """Whether a flag gives the recipe's model by its name; a path after `-m` does not."""
    if head in HF_FLAGS:
        return _same_model(text, model) and (is_repository(split_gguf(model)[0]) or text == inside_path(model))
    if head not in MODEL_FLAGS:
        return False
    if is_path(model):
        return text == inside_path(model)
    return (":" in text or text == model) and _same_model(text, model)


def _added_projector(script: str, word: Word, found: Found, wish: Wish) -> str:
    """` --mmproj PATH` for a command without the flag; empty where there is none, or while it is not known."""
    if wish.path:
        return f" --mmproj {word_at(script, word.start, wish.path)}"
    if not wish.pattern:
        return ""
    if found.projector:
        return f" --mmproj {word_at(script, word.start, found.projector)}"
    if found.path:
        return ""
    if wish.own:
        return f" $({_find_own(found.model)} | sed s/^/--mmproj\\ /)"
    return f" --mmproj {_named_projector(found.model, wish.pattern)}"


def _projector(script: str, word: Word, text: str, found: Found, wish: Wish) -> str:
    """The value of a `--mmproj` whose value is no path; empty where the flag goes."""
    if is_path(found.model) and not is_word(text):
        folder = inside_path(found.model).rpartition("/")[0]
        return word_at(script, word.start, f"{folder}/{text}")
    if not wish.pattern:
        return ""
    if found.projector:
        return word_at(script, word.start, found.projector)
    if not found.path:
        return _named_projector(found.model, wish.pattern)
    if wish.own:
        return ""
    folder = found.path.rpartition("/")[0]
    return word_at(script, word.start, f"{folder}/{text}")


def _named_projector(model: str, wanted: str) -> str:
    """Shell text that expands to the path of the projector with that file name, or with that word in its name."""
    if wanted == OWN_PROJECTOR:
        return f'"$({_find_own(model)})"'
    if not is_plain(wanted):
        raise LaunchError(
            f"the projector's name `{clean_line(wanted)}` cannot be searched in a container",
            remedy="write `mmproj` as the name of a file, or as its format: F16",
        )
    base = wanted.rpartition("/")[2]
    if base.lower().endswith(".gguf"):
        return _search(model, base)
    ending = f"{base}\\*.gguf"
    found = _first_of(model, f"[._-]{ending}", ending)
    return f'"$({found})"'


def _find_own(model: str) -> str:
    """Shell text that prints the path of a repository's projector, F16 before others."""
    return _first_of(model, "[._-]f16.gguf", ".gguf")


def _first_of(model: str, first: str, then: str) -> str:
    """Shell text that prints the path of the first projector whose name ends like `first`, else like `then`."""
    folder = _snapshots(model)
    before = f"find {folder} -iname \\*mmproj\\*"
    return f" ({before}{first}; {before}{then}) | head -n 1"


def _is_bare(text: str) -> bool:
    """Whether a text is the name of a file or a part of one, without a variable or an absolute folder."""
    return bool(text) and "$" not in text and not text.startswith(("/", "~", ".", "-"))


def _before(script: str, word: Word) -> int:
    """The start of a word, with one blank before it if there is one."""
    if script[word.start - 1 : word.start] == " ":
        return word.start - 1
    return word.start


def _same_model(text: str, model: str) -> bool:
    if "$" in text:
        return True
    return split_gguf(text)[0].lower() == split_gguf(inside_path(model))[0].lower()


def _first_file(script: str, word: Word, found: Found) -> str:
    """The first part of the model as text for a word of the script: its path, else a search in the container."""
    if found.path:
        return word_at(script, word.start, found.path)
    if is_path(found.model):
        return word_at(script, word.start, inside_path(found.model))
    _, quant = split_gguf(found.model)
    pattern = "\\*.gguf"
    if quant:
        pattern = f"\\*{quant}\\*.gguf"
    return _search(found.model, pattern, " -not -name \\*mmproj\\*")


def _search(model: str, pattern: str, more: str = "") -> str:
    """Shell text that expands to the path of the first file with that name, also inside the quoted script of a `bash
    -c`.

    Raises `LaunchError` for a name with special characters.
    """
    return f'"$(find {_snapshots(model)} -name {pattern}{more} | sort | head -n 1)"'


def _snapshots(model: str) -> str:
    """The folder of a model's snapshots in the container. Raises `LaunchError` for a name with special characters."""
    repo, quant = split_gguf(model)
    if not is_plain(repo + quant):
        raise LaunchError(
            f"the model's name `{clean_line(model)}` cannot be searched in a container: it holds special characters",
            remedy="write the model as organisation/name, or organisation/name:quantisation",
        )
    return f"{HF_HOME}/hub/models--{repo.replace('/', '--')}/snapshots"
