"""SGLang: one container alone, or one a host that meet through its own distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparkrun_tui.engines.command.built import command_of, left_out, serve_words
from sparkrun_tui.engines.command.secret_flags import hand_over
from sparkrun_tui.engines.command.serving import ServeCommand, locate, port_of, served_name_of
from sparkrun_tui.engines.command.shell_edit import insert_after
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.layout import hosts as host_rules
from sparkrun_tui.engines.layout.assemble import assemble, image_of, image_problems, need_serve, repository_needs
from sparkrun_tui.engines.layout.common import container, merge_env, role_of, split_env
from sparkrun_tui.engines.layout.nccl import free_port, nccl_env
from sparkrun_tui.engines.logs.marks import SGLANG_MARKS
from sparkrun_tui.engines.plan import ContainerSpec, ModelNeed, PlanRequest, RankPlan, ReadyCheck, ServePlan, Stage
from sparkrun_tui.engines.sglang.family import SGLANG
from sparkrun_tui.recipe.format.spots import beginning
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.recipe.values.shellwords import flag_value

IMAGE_PREFIX = "scitrera/dgx-spark-sglang"
DEFAULT_PORT = 30_000
DIST_PORT = 25_000
NAME_FLAGS = ("--served-model-name", "--served_model_name")
CACHES: Mapping[str, str] = {
    "sglang": "/root/.cache/sglang",
    "flashinfer": "/root/.cache/flashinfer",
    "deep_gemm": "/root/.cache/deep_gemm",
    "triton": "/root/.triton",
}
ENV: Mapping[str, str] = {"NCCL_CUMEM_ENABLE": "0", "SGLANG_ENABLE_TP_MEMORY_INBALANCE_CHECK": "0"}


@dataclass(frozen=True, slots=True)
class Sglang:
    """SGLang, alone or over several hosts."""

    name: str = "sglang"
    title: str = "SGLang"
    family: Family = SGLANG

    def image(self, recipe: Recipe) -> str:
        """The recipe's image, else the usual one."""
        return image_of(recipe, IMAGE_PREFIX)

    def command(self, rendered: Rendered) -> str:
        """The recipe's command, else `sglang.launch_server` with the flags of the chain.

        Raises `LaunchError` for a `kv_cache_dtype` that SGLang does not know.
        """
        return command_of(rendered, self.family)

    def host_count(self, rendered: Rendered, available: int, gpus_per_host: int) -> tuple[int, str]:
        """Hosts by the parallel sizes. Raises `LaunchError` below the recipe's minimum."""
        return host_rules.host_count(rendered, self.family, available, gpus_per_host)

    def models(self, rendered: Rendered) -> tuple[ModelNeed, ...]:
        """The model and draft models as repositories."""
        return repository_needs(rendered, self.family)

    def check(self, rendered: Rendered) -> tuple[Problem, ...]:
        """An image left open, vLLM's word for an fp8 cache, and a request table that nobody bounded."""
        recipe, argv = rendered.recipe, serve_words(rendered, self.family)
        problems = [*image_problems(recipe, self.image(recipe)), *left_out(rendered, self.family)]
        if flag_value(argv, ("--kv-cache-dtype",)) == "fp8":
            message = "SGLang refuses `--kv-cache-dtype fp8`, which is vLLM's word"
            spot = recipe.spots.get("defaults.kv_cache_dtype") or recipe.command_spot
            problems.append(Problem(Severity.ERROR, "kv-cache-dtype", message, spot, remedy="write fp8_e4m3"))
        if argv and flag_value(argv, ("--max-running-requests",)) is None:
            message = "without `--max-running-requests` SGLang's request table takes gigabytes at long contexts"
            remedy = "set max_num_seqs and pass it as --max-running-requests"
            spot = recipe.command_spot or beginning(recipe)
            problems.append(Problem(Severity.WARNING, "request-table", message, spot, remedy))
        return tuple(problems)

    def plan(self, request: PlanRequest) -> ServePlan:
        """One container a host, all started at once. Raises `LaunchError` for too few hosts."""
        rendered, hosts = request.rendered, request.hosts
        problems = (*host_rules.check_hosts(rendered, self.family, hosts), *self.check(rendered))
        handed = hand_over(self.command(rendered), request, self.family)
        script, request = handed.script, handed.request
        said = locate(script, self.family.dialect.starts, request.env, strict=len(hosts) > 1)
        nodes = len(hosts)
        if nodes > 1:
            need_serve(said.words, self.title, request)
        port = free_port(DIST_PORT, hosts)
        ranks = []
        for rank, host in enumerate(hosts):
            text = insert_after(script, said.words, _rank_arguments(request, said, rank, port)) if nodes > 1 else script
            ranks.append(RankPlan(rank, host.name, role_of(rank, nodes), self._container(request, rank, text)))
        model = said.value(("--model-path", "--model", "--model_path")) or said.after("serve")
        ready = ReadyCheck(
            host=hosts[0].name,
            port=port_of(rendered, said, DEFAULT_PORT),
            served_name=served_name_of(rendered, said, NAME_FLAGS, model),
        )
        stage = Stage("Start SGLang on all hosts" if nodes > 1 else "Start SGLang", start=tuple(range(nodes)))
        return assemble(
            request,
            self.name,
            self.image(rendered.recipe),
            self.models(rendered),
            ranks,
            (stage,),
            ready,
            SGLANG_MARKS,
            handed.notes,
            (*problems, *handed.problems),
        )

    def _container(self, request: PlanRequest, rank: int, script: str) -> ContainerSpec:
        host, nodes = request.hosts[rank], len(request.hosts)
        plain, secret = split_env(request.env, request.secret_env)
        return container(
            request,
            rank,
            engine="sglang",
            image=self.image(request.rendered.recipe),
            script=script,
            env=merge_env(ENV, nccl_env(host, nodes), plain, secret),
            secret_env=secret,
            caches=CACHES,
        )


def _rank_arguments(request: PlanRequest, said: ServeCommand, rank: int, port: int) -> list[str]:
    hosts = request.hosts
    added = ["--nnodes", str(len(hosts)), "--node-rank", str(rank)]
    if not said.given(("--dist-init-addr", "--nccl-init-addr")):
        added[:0] = ["--dist-init-addr", f"{hosts[0].address}:{port}"]
    return added
