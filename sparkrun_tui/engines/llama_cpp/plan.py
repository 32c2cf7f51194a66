"""llama.cpp's llama-server: one container serving one GGUF; other hosts can lend their memory through RPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.engines.command.built import command_of, left_out, value_text
from sparkrun_tui.engines.command.serving import locate, port_of, served_name_of
from sparkrun_tui.engines.command.shell_edit import Splice, insert_after, is_plain, splice, word_at
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.layout import hosts as host_rules
from sparkrun_tui.engines.layout.assemble import assemble, image_of, image_problems, need_serve
from sparkrun_tui.engines.layout.common import HF_HOME, container, merge_env, role_of, split_env
from sparkrun_tui.engines.layout.nccl import free_port
from sparkrun_tui.engines.llama_cpp.family import LLAMA_CPP
from sparkrun_tui.engines.llama_cpp.gguf_files import split_model
from sparkrun_tui.engines.logs.marks import LLAMA_MARKS
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
from sparkrun_tui.recipe.model import Problem, Recipe
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.recipe.values.shell_scanner import Command, Word

IMAGE_PREFIX = "scitrera/dgx-spark-llama-cpp"
DEFAULT_PORT = 8080
RPC_PORT = 50052
HF_FLAGS = ("-hf", "-hfr", "--hf-repo", "--hf_repo")
FILE_FLAGS = ("-hff", "--hf-file", "--hf_file")
MODEL_FLAGS = ("-m", "--model")
MMPROJ_FLAGS = ("-mm", "--mmproj")
NAME_FLAGS = ("-a", "--alias")
CACHES: Mapping[str, str] = {"llama.cpp": "/root/.cache/llama.cpp", "nv": "/root/.nv"}


@dataclass(frozen=True, slots=True)
class LlamaCpp:
    """llama-server on the head; more hosts only where the recipe asks for them."""

    name: str = "llama-cpp"
    title: str = "llama.cpp"
    family: Family = LLAMA_CPP

    def image(self, recipe: Recipe) -> str:
        """The recipe's image, else the usual one."""
        return image_of(recipe, IMAGE_PREFIX)

    def command(self, rendered: Rendered) -> str:
        """The recipe's command, else `llama-server` with the flags of the chain, the model by `-hf`."""
        return command_of(rendered, self.family)

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
        """The files of one quantisation, and the projector when the command names one."""
        recipe = rendered.recipe
        repo, quant = split_model(recipe.model)
        if repo.startswith(("/", ".", "~")):
            return ()
        said = locate(self.command(rendered), self.family.dialect.starts)
        file = said.value(FILE_FLAGS)
        projector = said.value(MMPROJ_FLAGS) or ""
        patterns = (projector,) if projector and "/" not in projector else ()
        needs = [ModelNeed(repo, recipe.model_revision, patterns, file or quant)]
        draft = said.value(("-hfd", "-hfrd", "--hf-repo-draft", "--spec-draft-hf"))
        if draft:
            needs.append(ModelNeed(split_model(draft)[0], gguf_quant=split_model(draft)[1]))
        return tuple(needs)

    def check(self, rendered: Rendered) -> tuple[Problem, ...]:
        """An image left open, and defaults that a built command leaves out; flags are checked with the recipe."""
        return (*image_problems(rendered.recipe, self.image(rendered.recipe)), *left_out(rendered, self.family))

    def plan(self, request: PlanRequest) -> ServePlan:
        """One container; with more hosts, rpc-servers on the others (experimental). Raises `LaunchError`."""
        rendered, hosts = request.rendered, request.hosts
        problems = (*_check_hosts(request), *self.check(rendered))
        script = self.command(rendered)
        said = locate(script, self.family.dialect.starts, request.env, strict=len(hosts) > 1)
        name = served_name_of(rendered, said, NAME_FLAGS, value_text("served_model_name", rendered))
        port = free_port(RPC_PORT, hosts[1:])
        notes: tuple[str, ...] = ()
        if len(hosts) > 1:
            lenders = ",".join(f"{host.address}:{port}" for host in hosts[1:])
            script = insert_after(script, need_serve(said.words, self.title, request), ("--rpc", lenders))
            notes = (f"Experimental: RPC has no password; who reaches port {port} of the workers owns their memory.",)
        # Set by environment, so that the author's command stays what it is: sizes and phases are printed at level 4
        # only, and without an alias the server would call the model by its path.
        engine = {"LLAMA_ARG_LOG_VERBOSITY": "4"}
        if not said.given(NAME_FLAGS):
            engine["LLAMA_ARG_ALIAS"] = name
        script = with_local_model(script, said.words, rendered.recipe.model, request.gguf_path)
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
            LLAMA_MARKS,
            notes,
            problems,
        )

    def _container(self, request: PlanRequest, rank: int, script: str, extra: Mapping[str, str]) -> ContainerSpec:
        plain, secret = split_env(request.env, request.secret_env)
        return container(
            request,
            rank,
            engine="llama-cpp",
            image=self.image(request.rendered.recipe),
            script=script,
            env=merge_env(extra, {}, plain, secret),
            secret_env=secret,
            caches=CACHES,
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


def with_local_model(script: str, words: Command, model: str, path: str) -> str:
    """The script with `-hf model` (however spelt, wherever it stands) turned into `-m path`.

    Without a `path` the first part is looked up in the container when it starts. A `-hf` that names another
    repository is left alone.
    """
    changes: list[Splice] = []
    skip = -1
    for index, word in enumerate(words):
        if index == skip:
            continue
        head, equals, tail = word.text.partition("=")
        value = words[index + 1] if not equals and index + 1 < len(words) else None
        text = tail if equals else (value.text if value is not None else "")
        end = value.end if value is not None else word.end
        if head in HF_FLAGS and _same_model(text, model):
            changes.append(Splice(word.start, end, f"-m {_found(script, word, model, path)}"))
        elif head in FILE_FLAGS:
            changes.append(Splice(_before(script, word), end, ""))
        elif head in MODEL_FLAGS and ":" in text and _same_model(text, model):
            changes.append(Splice(word.start, end, f"-m {_found(script, word, model, path)}"))
        elif head in MMPROJ_FLAGS and path and text and "/" not in text and "$" not in text:
            beside = f"{path.rpartition('/')[0]}/{text}"
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
