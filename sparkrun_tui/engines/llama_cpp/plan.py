"""llama.cpp's llama-server: one container serving one GGUF; other hosts can lend their memory through RPC."""

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
from sparkrun_tui.engines.llama_cpp.family import LLAMA_CPP
from sparkrun_tui.engines.llama_cpp.gguf_files import OWN_PROJECTOR, split_model
from sparkrun_tui.engines.plan import (
    ContainerSpec,
    HostView,
    ModelNeed,
    PlanRequest,
    PortWait,
    RankPlan,
    ReadyCheck,
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
    """llama-server on the head; more hosts only where the recipe asks for them."""

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
        """The files of one quantisation, and its projector: the one that the command names, else the repository's."""
        recipe = rendered.recipe
        repo, quant = split_model(recipe.model)
        if repo.startswith(("/", ".", "~")):
            return ()
        said = locate(self.command(rendered), self.family.dialect.starts)
        file = said.value(FILE_FLAGS)
        projector = said.value(MMPROJ_FLAGS) or ""
        patterns = (projector,) if projector and "/" not in projector else ()
        if not projector and _takes_own_projector(said.words, recipe.model):
            patterns = (OWN_PROJECTOR,)
        needs = [ModelNeed(repo, recipe.model_revision, patterns, file or quant)]
        draft = said.value(("-hfd", "-hfrd", "--hf-repo-draft", "--spec-draft-hf"))
        drafted, drafted_quant = split_model(draft or "")
        if is_repository(drafted):
            needs.append(ModelNeed(drafted, gguf_quant=drafted_quant))
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
            warning = f"Experimental: RPC has no password; who reaches port {port} of the workers owns their memory."
            notes = (*notes, warning)
        # Set by environment, so that the author's command stays what it is: sizes and phases are printed at level 4
        # only, and without an alias the server would call the model by its path.
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
            ReadyCheck(host=hosts[0].name, port=port_of(rendered, said, DEFAULT_PORT), served_name=name),
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
    """Like the other engines, but a parallel size says nothing here: layers are split, not heads."""
    found = host_rules.check_hosts(request.rendered, LLAMA_CPP, request.hosts)
    return tuple(problem for problem in found if problem.code != "too-few-gpus")


def _stages(hosts: Sequence[HostView], port: int) -> tuple[Stage, ...]:
    """The workers first, since the head connects to all of them when it starts."""
    stages = []
    if len(hosts) > 1:
        first = PortWait(hosts[1].address, port)
        stages.append(Stage("Start the RPC servers", start=tuple(range(1, len(hosts))), wait=first))
    stages += [Stage(f"Wait for {host.name}", wait=PortWait(host.address, port)) for host in hosts[2:]]
    return (*stages, Stage("Start llama-server", start=(0,)))


def _takes_own_projector(words: Command, model: str) -> bool:
    """Whether llama-server would fetch the repository's projector by itself, as it does for `-hf` and not for `-m`."""
    texts = [word.text for word in words]
    if any(text.partition("=")[0] in (*OTHER_PROJECTOR, *MMPROJ_FLAGS) for text in texts):
        return False
    for text, following in zip(texts, [*texts[1:], ""], strict=True):
        head, equals, tail = text.partition("=")
        if head in HF_FLAGS and _same_model(tail if equals else following, model):
            return True
    return False


def with_local_model(script: str, words: Command, model: str, path: str, projector: str = "") -> str:
    """The script with `-hf model` (however spelt, wherever it stands) turned into `-m path`.

    `projector` is the path of the projector, where it is known: it takes the place of a bare name, and is added where
    llama-server would have taken it by itself.

    Without a `path` the first part is looked up in the container when it starts. A `-hf` that names another
    repository is left alone.
    """
    changes: list[Splice] = []
    added = _takes_own_projector(words, model) and bool(projector)
    skip = -1
    for index, word in enumerate(words):
        if index == skip:
            continue
        head, equals, tail = word.text.partition("=")
        value = words[index + 1] if not equals and index + 1 < len(words) else None
        text = tail if equals else (value.text if value is not None else "")
        end = value.end if value is not None else word.end
        if head in HF_FLAGS and _same_model(text, model):
            beside = f" --mmproj {word_at(script, word.start, projector)}" if added else ""
            changes.append(Splice(word.start, end, f"-m {_found(script, word, model, path)}{beside}"))
            added = False
        elif head in FILE_FLAGS:
            changes.append(Splice(_before(script, word), end, ""))
        elif head in MODEL_FLAGS and ":" in text and _same_model(text, model):
            changes.append(Splice(word.start, end, f"-m {_found(script, word, model, path)}"))
        elif head in MMPROJ_FLAGS and path and text and "/" not in text and "$" not in text:
            beside = projector or f"{path.rpartition('/')[0]}/{text}"
            changes.append(Splice(word.start, end, f"{head} {word_at(script, word.start, beside)}"))
        else:
            continue
        skip = index + 1 if value is not None else -1
    return splice(script, changes)


def _before(script: str, word: Word) -> int:
    """The start of a word together with the one blank before it."""
    return word.start - 1 if script[word.start - 1 : word.start] == " " else word.start


def _same_model(text: str, model: str) -> bool:
    if "$" in text:
        return True
    return split_model(text)[0].lower() == split_model(model)[0].lower()


def _found(script: str, word: Word, model: str, path: str) -> str:
    """The first part of the model as text at a word of the script: its path, else a look for it in the container."""
    return word_at(script, word.start, path) if path else _lookup(model)


def _lookup(model: str) -> str:
    """Text that becomes the first part's path, outside of quotes and inside the quoted script of a `bash -c`."""
    repo, quant = split_model(model)
    if not is_plain(repo + quant):
        raise LaunchError(
            f"the model's name `{clean_line(model)}` cannot be looked up in a container: it holds special characters",
            remedy="A model is written organisation/name, or organisation/name:quantisation.",
        )
    folder = f"{HF_HOME}/hub/models--{repo.replace('/', '--')}/snapshots"
    pattern = f"\\*{quant}\\*.gguf" if quant else "\\*.gguf"
    return f'"$(find {folder} -name {pattern} -not -name mmproj\\* | sort | head -n 1)"'
