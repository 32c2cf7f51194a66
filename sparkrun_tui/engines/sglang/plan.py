"""SGLang: one container, or one per host connected by its own distribution."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.command.arguments import read_arguments
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.command.secret_flags import hand_over
from sparkrun_tui.engines.command.serving import ServeCommand, locate, port_of, served_name_of
from sparkrun_tui.engines.command.shell_edit import insert_after
from sparkrun_tui.engines.engine import Engine
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.layout import hosts as host_rules
from sparkrun_tui.engines.layout.assemble import assemble, need_serve
from sparkrun_tui.engines.layout.common import container, role_of
from sparkrun_tui.engines.layout.nccl import free_port
from sparkrun_tui.engines.layout.ready import ready_check
from sparkrun_tui.engines.plan import ContainerSpec, PlanRequest, RankPlan, ServePlan, Stage
from sparkrun_tui.engines.settings import attention_replicas, degrees
from sparkrun_tui.engines.sglang.family import SGLANG
from sparkrun_tui.recipe.format.spots import beginning
from sparkrun_tui.recipe.model import Mode, Problem, Severity
from sparkrun_tui.recipe.values.rendered import Rendered

IMAGE_PREFIX = "scitrera/dgx-spark-sglang"
DEFAULT_PORT = 30_000
DIST_PORT = 25_000
NAME_FLAGS = ("--served-model-name", "--served_model_name")
ENV: Mapping[str, str] = {"NCCL_CUMEM_ENABLE": "0", "SGLANG_ENABLE_TP_MEMORY_INBALANCE_CHECK": "0"}


@dataclass(frozen=True, slots=True)
class Sglang(Engine):
    """SGLang on one or several hosts."""

    name: str = "sglang"
    title: str = "SGLang"
    family: Family = SGLANG
    image_prefix: str = IMAGE_PREFIX

    def check(self, rendered: Rendered) -> tuple[Problem, ...]:
        """Problems with a missing image, vLLM's word for an fp8 cache, and a request table without a limit."""
        recipe, words = rendered.recipe, serve_words(rendered, self.family)
        arguments = read_arguments(words, self.family)
        problems = list(Engine.check(self, rendered))
        cache = arguments.last("kv_cache_dtype")
        if cache is not None and cache.values == ("fp8",):
            message = "SGLang refuses `--kv-cache-dtype fp8`, which is vLLM's word"
            spot = recipe.spots.get("defaults.kv_cache_dtype") or recipe.command_spot
            problems.append(Problem(Severity.ERROR, "kv-cache-dtype", message, spot, remedy="write fp8_e4m3"))
        if words and arguments.last("max_num_seqs") is None:
            message = "without `--max-running-requests` SGLang's request table takes gigabytes at long contexts"
            remedy = "set max_num_seqs and pass it as --max-running-requests"
            spot = recipe.command_spot or beginning(recipe)
            problems.append(Problem(Severity.WARNING, "request-table", message, spot, remedy))
        problems += _parallel_problems(rendered, self.family)
        return tuple(problems)

    def plan(self, request: PlanRequest) -> ServePlan:
        """One container per host, all started at the same time. Raises `LaunchError` for too few hosts."""
        rendered, hosts = request.rendered, request.hosts
        problems = (*host_rules.check_hosts(rendered, self.family, hosts), *self.check(rendered))
        handed = hand_over(self.command(rendered), request, self.family)
        script, request = handed.script, handed.request
        said = locate(script, self.family.dialect.starts, request.env, strict=len(hosts) > 1)
        nodes = len(hosts)
        problems = (*problems, *_host_problems(rendered, self.family, nodes))
        if nodes > 1:
            need_serve(said.words, self.title, request)
        port = free_port(DIST_PORT, hosts)
        ranks = []
        for rank, host in enumerate(hosts):
            text = script
            if nodes > 1:
                text = insert_after(script, said.words, _rank_arguments(request, said, rank, port))
            ranks.append(RankPlan(rank, host.name, role_of(rank, nodes), self._container(request, rank, text)))
        model = said.value(("--model-path", "--model", "--model_path")) or said.after("serve")
        name = served_name_of(rendered, said, NAME_FLAGS, model)
        ready = ready_check(request, said, self.family, port_of(rendered, said, DEFAULT_PORT), name)
        title = "Start SGLang"
        if nodes > 1:
            title = "Start SGLang on all hosts"
        stage = Stage(title, start=tuple(range(nodes)))
        return assemble(
            request,
            self.name,
            self.image(rendered.recipe),
            self.models(rendered),
            ranks,
            (stage,),
            ready,
            handed.notes,
            (*problems, *handed.problems),
        )

    def _container(self, request: PlanRequest, rank: int, script: str) -> ContainerSpec:
        env = dict(ENV)
        if len(request.hosts) > 1 and "HOST_IP" not in request.env:
            # Beside NCCL, ranks talk over ZeroMQ. Without this variable, each gives the others the address of its
            # default route (sglang/srt/utils/network.py), on a Spark often that of the Wi-Fi, and the start hangs.
            env["SGLANG_HOST_IP"] = request.hosts[rank].address
        return container(
            request,
            rank,
            engine="sglang",
            image=self.image(request.rendered.recipe),
            script=script,
            env=env,
            caches=self.family.caches,
        )


def _parallel_problems(rendered: Rendered, family: Family) -> list[Problem]:
    """Replicas of attention that do not divide the ranks, and replicas of the model that need one host."""
    arguments = read_arguments(serve_words(rendered, family), family)
    recipe = rendered.recipe
    spot = recipe.command_spot or beginning(recipe)
    parts = degrees(arguments, family)
    tensor = parts.get("tensor_parallel", 1)
    replicas = attention_replicas(arguments, family)
    found = []
    if tensor % replicas:
        message = f"{replicas} replicas of attention do not divide tensor_parallel {tensor}"
        remedy = f"with attention data parallelism, --tp-size counts all ranks: write a multiple of {replicas}"
        found.append(Problem(Severity.ERROR, "attention-replicas", message, spot, remedy))
    whole = parts.get("data_parallel", 1)
    if whole > 1 and recipe.max_nodes != 1 and recipe.mode is not Mode.SOLO:
        message = (
            f"the {whole} replicas of the model run on one host with {whole * tensor} GPUs, not over several hosts"
        )
        found.append(Problem(Severity.WARNING, "replicas-on-one-host", message, spot, _as_attention(tensor, whole)))
    return found


def _as_attention(tensor: int, replicas: int) -> str:
    return f"over hosts, write `--tp-size {tensor * replicas} --dp-size {replicas} --enable-dp-attention`"


def _host_problems(rendered: Rendered, family: Family, nodes: int) -> list[Problem]:
    """What SGLang refuses on several hosts: replicas of the whole model, and ranks that the hosts cannot share."""
    if nodes == 1:
        return []
    parts = degrees(read_arguments(serve_words(rendered, family), family), family)
    spot = rendered.recipe.command_spot or beginning(rendered.recipe)
    tensor = parts.get("tensor_parallel", 1)
    replicas = parts.get("data_parallel", 1)
    ranks = tensor * parts.get("pipeline_parallel", 1)
    if replicas > 1:
        message = f"SGLang refuses {replicas} replicas of the model over several hosts"
        return [Problem(Severity.ERROR, "replicas-over-hosts", message, spot, _as_attention(tensor, replicas))]
    if ranks % nodes:
        message = f"SGLang cannot share {ranks} rank{'s' * (ranks != 1)} (tp x pp) among {nodes} hosts"
        remedy = f"set tensor_parallel to a multiple of {nodes}, or use fewer hosts"
        return [Problem(Severity.ERROR, "ranks-over-hosts", message, spot, remedy)]
    return []


def _rank_arguments(request: PlanRequest, said: ServeCommand, rank: int, port: int) -> list[str]:
    hosts = request.hosts
    added = ["--nnodes", str(len(hosts)), "--node-rank", str(rank)]
    if not said.given(("--dist-init-addr", "--nccl-init-addr")):
        added[:0] = ["--dist-init-addr", f"{hosts[0].address}:{port}"]
    return added
