"""llama.cpp's llama-server: one container that serves one GGUF; other hosts can lend their memory through RPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.engines.command.built import value_text
from sparkrun_tui.engines.command.secret_flags import hand_over
from sparkrun_tui.engines.command.serving import locate, port_of, served_name_of
from sparkrun_tui.engines.command.shell_edit import Splice, insert_after, is_plain, splice, word_at
from sparkrun_tui.engines.engine import Engine
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.layout import hosts as host_rules
from sparkrun_tui.engines.layout.assemble import assemble, need_serve
from sparkrun_tui.engines.layout.common import HF_HOME, container, role_of
from sparkrun_tui.engines.layout.nccl import free_port
from sparkrun_tui.engines.layout.ready import ready_check
from sparkrun_tui.engines.llama_cpp.family import LLAMA_CPP
from sparkrun_tui.engines.llama_cpp.gguf_files import OWN_PROJECTOR, split_model
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
from sparkrun_tui.recipe.format.detect import is_repository
from sparkrun_tui.recipe.model import Problem
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.recipe.values.shell_scanner import Command, Word

IMAGE_PREFIX = "scitrera/dgx-spark-llama-cpp"
DEFAULT_PORT = 8080
RPC_PORT = 50052
HF_FLAGS = ("-hf", "-hfr", "--hf-repo", "--hf_repo")
FILE_FLAGS = ("-hff", "--hf-file", "--hf_file")
MODEL_FLAGS = ("-m", "--model")
MMPROJ_FLAGS = ("-mm", "--mmproj")
OTHER_PROJECTOR = ("-mmu", "--mmproj-url", "--no-mmproj", "--no-mmproj-auto")
"""Flags with which `-hf` takes no projector of the repository."""
NAME_FLAGS = ("-a", "--alias")
CACHES: Mapping[str, str] = {"llama.cpp": "/root/.cache/llama.cpp", "nv": "/root/.nv"}


@dataclass(frozen=True, slots=True)
class LlamaCpp(Engine):
    """llama-server on the head node; more hosts only where the recipe asks for them."""

    name: str = "llama-cpp"
    title: str = "llama.cpp"
    family: Family = LLAMA_CPP
    image_prefix: str = IMAGE_PREFIX
    short: str = "llama"

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
        """The files of one quantisation, and its projector: the one named in the command, else the repository's."""
        recipe = rendered.recipe
        repo, quant = split_model(recipe.model)
        if repo.startswith(("/", ".", "~")):
            return ()
        said = locate(self.command(rendered), self.family.dialect.starts)
        patterns: tuple[str, ...] = ()
        projector = said.value(MMPROJ_FLAGS)
        if projector:
            if "/" not in projector:
                patterns = (projector,)
        elif _takes_own_projector(said.words, recipe.model):
            patterns = (OWN_PROJECTOR,)
        file = said.value(FILE_FLAGS) or quant
        needs = [ModelNeed(repo, recipe.model_revision, patterns, file)]
        draft = said.value(("-hfd", "-hfrd", "--hf-repo-draft", "--spec-draft-hf"))
        if draft:
            draft_repo, draft_quant = split_model(draft)
            if is_repository(draft_repo):
                needs.append(ModelNeed(draft_repo, gguf_quant=draft_quant))
        return tuple(needs)

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
        script = with_local_model(script, said.words, rendered.recipe.model, request.gguf_path, request.gguf_projector)
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
            caches=CACHES,
            collective=False,
        )


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


def _takes_own_projector(words: Command, model: str) -> bool:
    """Whether llama-server itself would fetch the repository's projector: it does for `-hf`, not for `-m`."""
    loads_model = False
    for index in range(len(words)):
        head, text, _ = _flag_at(words, index)
        if head in OTHER_PROJECTOR or head in MMPROJ_FLAGS:
            return False
        if head in HF_FLAGS and _same_model(text, model):
            loads_model = True
    return loads_model


def _flag_at(words: Command, index: int) -> tuple[str, str, int]:
    """The word at `index` read as a flag: its name, its value (empty without one), and how many words both take.

    The value follows an equals sign, or is the next word.
    """
    head, equals, value = words[index].text.partition("=")
    if equals:
        return head, value, 1
    if index + 1 == len(words):
        return head, "", 1
    return head, words[index + 1].text, 2


def with_local_model(script: str, words: Command, model: str, path: str, projector: str = "") -> str:
    """The script with `-hf model`, in any spelling and place, replaced by `-m path`.

    `projector` is the path of the projector, where it is known: it replaces a bare name, and is added where
    llama-server would have fetched it itself.

    Without a `path` the first part is searched in the container when it starts. A `-hf` that names another
    repository is not changed.
    """
    changes: list[Splice] = []
    add_projector = bool(projector) and _takes_own_projector(words, model)
    index = 0
    while index < len(words):
        word = words[index]
        head, text, count = _flag_at(words, index)
        start = word.start
        if head in HF_FLAGS and _same_model(text, model):
            change = f"-m {_found(script, word, model, path)}"
            if add_projector:
                change += f" --mmproj {word_at(script, word.start, projector)}"
                add_projector = False
        elif head in MODEL_FLAGS and ":" in text and _same_model(text, model):
            change = f"-m {_found(script, word, model, path)}"
        elif head in FILE_FLAGS:
            change = ""
            start = _before(script, word)
        elif head in MMPROJ_FLAGS and path and _is_bare_name(text):
            beside = projector or f"{path.rpartition('/')[0]}/{text}"
            change = f"{head} {word_at(script, word.start, beside)}"
        else:
            index += 1
            continue
        index += count
        changes.append(Splice(start, words[index - 1].end, change))
    return splice(script, changes)


def _is_bare_name(text: str) -> bool:
    """Whether a text is the name of a file without a folder or a variable."""
    return bool(text) and "/" not in text and "$" not in text


def _before(script: str, word: Word) -> int:
    """The start of a word, with one blank before it if there is one."""
    if script[word.start - 1 : word.start] == " ":
        return word.start - 1
    return word.start


def _same_model(text: str, model: str) -> bool:
    if "$" in text:
        return True
    return split_model(text)[0].lower() == split_model(model)[0].lower()


def _found(script: str, word: Word, model: str, path: str) -> str:
    """The first part of the model as text for a word of the script: its path, else a search in the container."""
    if not path:
        return _lookup(model)
    return word_at(script, word.start, path)


def _lookup(model: str) -> str:
    """Shell text that expands to the first part's path, also inside the quoted script of a `bash -c`.

    Raises `LaunchError` for a name with special characters.
    """
    repo, quant = split_model(model)
    if not is_plain(repo + quant):
        raise LaunchError(
            f"the model's name `{clean_line(model)}` cannot be searched in a container: it holds special characters",
            remedy="write the model as organisation/name, or organisation/name:quantisation",
        )
    folder = f"{HF_HOME}/hub/models--{repo.replace('/', '--')}/snapshots"
    pattern = "\\*.gguf"
    if quant:
        pattern = f"\\*{quant}\\*.gguf"
    return f'"$(find {folder} -name {pattern} -not -name mmproj\\* | sort | head -n 1)"'
