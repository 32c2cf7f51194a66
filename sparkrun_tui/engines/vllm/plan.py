"""vLLM: one container, several through Ray, or several without Ray (`vllm-distributed`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sparkrun_tui.base import shell
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.command.secret_flags import hand_over
from sparkrun_tui.engines.command.serving import ServeCommand, locate, port_of, served_name_of
from sparkrun_tui.engines.command.shell_edit import insert_after
from sparkrun_tui.engines.engine import Engine
from sparkrun_tui.engines.eugr.scripts import with_build
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.layout import hosts as host_rules
from sparkrun_tui.engines.layout.assemble import assemble, need_serve, several_images
from sparkrun_tui.engines.layout.common import container, role_of
from sparkrun_tui.engines.layout.nccl import free_port
from sparkrun_tui.engines.layout.ready import ready_check
from sparkrun_tui.engines.plan import (
    ContainerExec,
    ContainerSpec,
    HostView,
    PlanRequest,
    PortWait,
    RankPlan,
    RayNodesWait,
    ServePlan,
    Stage,
)
from sparkrun_tui.engines.vllm.executor import (
    BACKEND_FLAGS,
    COPIES_FLAGS,
    KEY,
    RUNTIME,
    TOKEN,
    TOKEN_MODE,
    WITHOUT,
    Executor,
    brings_ray,
    copies_over_ray,
    executor_of,
    no_ray,
    override_of,
    with_executor,
    without_ray_commands,
)
from sparkrun_tui.engines.vllm.family import VLLM
from sparkrun_tui.engines.vllm.start_limit import start_limit
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.recipe.values.shell_scanner import Command

IMAGE_PREFIX = "scitrera/dgx-spark-vllm"
DEFAULT_PORT = 8000
RAY_PORT = 46379
MASTER_PORT = 25000
NAME_FLAGS = ("--served-model-name", "--served_model_name")
RAY_ENV: Mapping[str, str] = {
    # Ray counts the page cache as used and kills workers at 95 %; on unified memory every large model reaches that.
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray 2.60 (ray/_private/node.py) would wait 30 seconds at SIGTERM for work to move to other nodes. That of vLLM
    # never moves, so each stop would end with SIGKILL.
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
}


def model_of(said: ServeCommand) -> str | None:
    """The model in the command; vLLM serves it under this name unless the command gives another."""
    return said.after("serve") or said.value(("--model",))


@dataclass(frozen=True, slots=True)
class Vllm(Engine):
    """vLLM under one of its runtime words; `ray` says whether several hosts are connected by Ray."""

    name: str = "vllm"
    title: str = "vLLM"
    family: Family = VLLM
    image_prefix: str = IMAGE_PREFIX
    aliases: tuple[str, ...] = (RUNTIME,)
    applied: tuple[str, ...] = (KEY,)
    ray: bool = True

    def command(self, rendered: Rendered) -> str:
        """The serve command, with the executor that the user has set in place of one that the author names.

        Raises `LaunchError` for a value that vLLM is known to refuse.
        """
        script = Engine.command(self, rendered)
        executor = override_of(rendered)
        if executor:
            script = with_executor(script, locate(script, self.family.dialect.starts), executor)
        return script

    def plan(self, request: PlanRequest) -> ServePlan:
        """One container per host. Raises `LaunchError` for too few hosts or a command that cannot be extended."""
        rendered, hosts = request.rendered, request.hosts
        problems = (*host_rules.check_hosts(rendered, self.family, hosts), *self.check(rendered))
        handed = hand_over(self.command(rendered), request, self.family)
        script, request = handed.script, handed.request
        said = locate(script, self.family.dialect.starts, request.env, strict=len(hosts) > 1)
        name = served_name_of(rendered, said, NAME_FLAGS, model_of(said))
        ready = ready_check(request, said, self.family, port_of(rendered, said, DEFAULT_PORT), name)
        executor = executor_of(rendered, script, said)
        image = self.image(rendered.recipe)
        notes = handed.notes
        missing = request.ray.has is False and not brings_ray(request)
        copies = 1
        if not said.given(COPIES_FLAGS):
            copies = host_rules.degrees(rendered, self.family)["data_parallel"]
        asks_ray = False
        if override_of(rendered) and executor.named in WITHOUT:
            script = without_ray_commands(script)
            said = locate(script, self.family.dialect.starts, request.env, strict=len(hosts) > 1)
        uses_ray = self.ray or len(hosts) == 1
        if executor.asks_for_ray and missing and uses_ray:
            problems = (*problems, no_ray(image, executor.asks_for_ray, rendered))
        if len(hosts) == 1:
            asks_ray = bool(executor.asks_for_ray)
            ranks, stages = self._solo(request, script)
        elif self._over_ray_wanted(executor, missing=missing, copies=copies > 1):
            asks_ray = True
            ranks, stages = self._over_ray(request, script, need_serve(said.words, self.title, request), said)
            notes = (*notes, *_ray_notes(request, image, executor, _ray_port(hosts)))
            why = "Ray needs the same versions of itself and of Python on all hosts"
            problems = (*problems, *several_images(request, self.image(rendered.recipe), why))
            if copies > 1:
                problems = (*problems, copies_over_ray(copies, rendered))
        else:
            if self.ray and not executor.named and not missing:
                notes = (*notes, f"Ray does not spread {copies} copies of a model: the hosts connect without it.")
            elif self.ray and executor.named in WITHOUT:
                notes = (*notes, f"The executor is `{executor.named}`: the hosts connect without Ray.")
            elif self.ray:
                notes = (*notes, f"{image} has no Ray: the hosts connect without it (--nnodes).")
            elif executor.asks_for_ray:
                script = with_executor(without_ray_commands(script), said, "mp")
                said = locate(script, self.family.dialect.starts, request.env, strict=True)
            ranks, stages = self._without_ray(request, script, need_serve(said.words, self.title, request), said)
        models = self.models(rendered)
        problems = (*problems, *handed.problems)
        plan = assemble(request, self.name, image, models, ranks, stages, ready, notes, problems)
        return with_build(replace(plan, asks_ray=asks_ray), request, script)

    def _over_ray_wanted(self, executor: Executor, *, missing: bool, copies: bool) -> bool:
        """Whether several hosts are connected by Ray.

        Where nobody names an executor, only if the image has it and there is one copy of the model.
        """
        if not self.ray or executor.named in WITHOUT:
            return False
        return bool(executor.named) or not (missing or copies)

    def _solo(self, request: PlanRequest, script: str) -> tuple[tuple[RankPlan, ...], tuple[Stage, ...]]:
        rank = RankPlan(0, request.hosts[0].name, role_of(0, 1), self._container(request, 0, script, {}))
        return (rank,), (Stage("Start vLLM", start=(0,)),)

    def _over_ray(
        self, request: PlanRequest, script: str, words: Command, said: ServeCommand
    ) -> tuple[tuple[RankPlan, ...], tuple[Stage, ...]]:
        hosts = request.hosts
        head, nodes = hosts[0], len(hosts)
        port = _ray_port(hosts)
        address = f"{head.address}:{port}"
        ranks = []
        request, env = _with_token(request), _ray_env(request)
        for rank, host in enumerate(hosts):
            if rank == 0:
                start = _start_ray(host, port)
            else:
                start = _join_ray(host, address)
            ranks.append(RankPlan(rank, host.name, role_of(rank, nodes), self._container(request, rank, start, env)))
        if not said.given(BACKEND_FLAGS):
            script = insert_after(script, words, (BACKEND_FLAGS[0], "ray"))
        joined = RayNodesWait(0, nodes, address, token=TOKEN_MODE in env)
        stages = (
            Stage("Start the Ray head", start=(0,), wait=PortWait(head.address, port)),
            Stage("Join the Ray workers", start=tuple(range(1, nodes)), wait=joined),
            Stage("Serve on the head", execs=(ContainerExec(0, "vllm serve", script),)),
        )
        return tuple(ranks), stages

    def _without_ray(
        self, request: PlanRequest, script: str, words: Command, said: ServeCommand
    ) -> tuple[tuple[RankPlan, ...], tuple[Stage, ...]]:
        hosts = request.hosts
        nodes = len(hosts)
        port = free_port(MASTER_PORT, hosts)
        ranks = []
        for rank, host in enumerate(hosts):
            added = ["--nnodes", str(nodes), "--node-rank", str(rank), "--master-addr", hosts[0].address]
            added += ["--master-port", str(port)]
            if rank and not said.given(("--headless",)):
                added.append("--headless")
            spec = self._container(request, rank, insert_after(script, words, added), {})
            ranks.append(RankPlan(rank, host.name, role_of(rank, nodes), spec))
        # All start at the same time: rank 0 opens its port only after its imports, and all ranks wait for each other.
        return tuple(ranks), (Stage("Start vLLM on all hosts", start=tuple(range(nodes))),)

    def _container(self, request: PlanRequest, rank: int, script: str, extra: Mapping[str, str]) -> ContainerSpec:
        env = {**start_limit(request.rendered.recipe, len(request.hosts)), **extra}
        if len(request.hosts) > 1:
            env["VLLM_HOST_IP"] = request.hosts[rank].address
        return container(
            request,
            rank,
            engine="vllm",
            image=self.image(request.rendered.recipe),
            script=script,
            env=env,
            caches=self.family.caches,
        )


def without_ray() -> Vllm:
    """vLLM whose ranks on several hosts are connected by its own distribution."""
    return Vllm(name="vllm-distributed", title="vLLM without Ray", aliases=(), ray=False, joined_by="--nnodes")


def _has_token(request: PlanRequest) -> bool:
    """Whether the Ray cluster gets a password; a recipe that sets any of it itself keeps its own."""
    own = {*request.env, *request.secret_env} & {TOKEN_MODE, TOKEN, f"{TOKEN}_PATH"}
    return request.ray.token is not None and not own


def _with_token(request: PlanRequest) -> PlanRequest:
    """The request with the Ray cluster's password among its secrets."""
    if request.ray.token is None or not _has_token(request):
        return request
    return replace(request, secret_env={**request.secret_env, TOKEN: request.ray.token})


def _ray_env(request: PlanRequest) -> Mapping[str, str]:
    if not _has_token(request):
        return RAY_ENV
    return {**RAY_ENV, TOKEN_MODE: "token"}


def _ray_notes(request: PlanRequest, image: str, executor: Executor, port: int) -> tuple[str, ...]:
    notes = []
    if not _has_token(request):
        host = request.hosts[0].name
        notes.append(f"Ray has no password: everyone who reaches port {port} of {host} can run code there.")
    if request.ray.has is None and not executor.named:
        notes.append(f"If {image} has no Ray, which is seen once it is there, the hosts connect without it (--nnodes).")
    return tuple(notes)


def _ray_port(hosts: Sequence[HostView]) -> int:
    return free_port(RAY_PORT, (hosts[0],))


def _start_ray(host: HostView, port: int) -> shell.Text:
    """A script that starts Ray on the head node."""
    where = ["--head", "--port", str(port)]
    words = ["ray", "start", "--block", *where, "--node-ip-address", host.address, "--disable-usage-stats"]
    return shell.script("{words}\n", words=shell.words(words))


def _join_ray(host: HostView, head: str) -> shell.Text:
    """A script that joins a worker to the Ray at `head`, written ADDRESS:PORT."""
    words = ["ray", "start", "--block", f"--address={head}", "--node-ip-address", host.address]
    return shell.script("{words}\n", words=shell.words(words))
