"""A launch as other tools need it: one container a rank, without what only this program does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import visible_line
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.plan import ContainerSpec, ModelNeed, ServePlan
from sparkrun_tui.engines.registry import family_of
from sparkrun_tui.launch.plan.containers import whole
from sparkrun_tui.launch.plan.dry_run import offline_plan
from sparkrun_tui.launch.plan.plan import LaunchPlan, stopped_by
from sparkrun_tui.launch.plan.redaction import redactor_for
from sparkrun_tui.recipe.names.local_model import CACHE_TARGETS
from sparkrun_tui.recipe.values.rendered import Rendered

LAUNCH_ID = "exported"
"""In place of a launch's id: nothing of what is written is found by it."""
PORT_NAME = "http"
_NO_LABEL = late_regex(r"[^a-z0-9]+")
START_SECONDS = 7200
"""How long the first start may take, with a download of some hundred GiB, before it counts as failed."""
_MOST_NAME = 52
"""Kubernetes adds up to eleven characters to the names of what it makes (63 in all, RFC 1123)."""


@dataclass(frozen=True, slots=True)
class Service:
    """What is to run: `name` fits a DNS label, `ranks` are the containers in rank order, with their scripts."""

    name: str
    recipe: str
    engine: str
    ranks: tuple[ContainerSpec, ...]
    scripts: tuple[str, ...]
    port: int
    health_path: str
    models: tuple[ModelNeed, ...]
    gpus: int
    """GPUs of each rank's host that the service uses."""
    fetches: bool
    """Whether the engine fetches its model by itself, where the cache does not hold it."""
    grace: int
    """Seconds between SIGTERM and SIGKILL."""
    notes: tuple[str, ...]

    @property
    def head(self) -> ContainerSpec:
        """The container that answers requests."""
        return self.ranks[0]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Variables with secret values, which are never written."""
        return tuple(dict.fromkeys(name for rank in self.ranks for name in rank.secret_env))


def service_of(rendered: Rendered, hosts: Sequence[str], environ: Mapping[str, str], *, ray: bool = False) -> Service:
    """The service of a recipe on hosts of these names, which are not asked.

    `ray` says whether a server that is started inside the head's running container can be written: with Ray.

    Raises `LaunchError` where the recipe cannot run there, or does what only this program can do.
    """
    plan = offline_plan(rendered, Cluster("export", tuple(hosts)), LAUNCH_ID, environ)
    if plan.errors:
        raise stopped_by(plan.errors[0])
    serve = plan.serve
    _refuse(serve, ray)
    redact = redactor_for(plan)
    scripts = [redact(str(whole(rank.container))) for rank in serve.ranks]
    scripts[0] = _checks(serve) + scripts[0]
    for stage in serve.stages:
        for item in stage.execs:
            scripts[item.rank] = _with_server(scripts[item.rank], redact(item.script), len(serve.ranks))
    return Service(
        name=service_name(rendered.recipe.name),
        recipe=rendered.recipe.name,
        engine=serve.engine,
        ranks=tuple(rank.container for rank in serve.ranks),
        scripts=tuple(scripts),
        port=serve.ready.port,
        health_path=serve.ready.health_path,
        models=serve.models,
        gpus=plan.hosts[0].gpus,
        fetches=not _reads_gguf(serve),
        grace=max(1, round(serve.stop_grace)),
        notes=tuple(_notes(plan)),
    )


def service_name(name: str) -> str:
    """A name as a DNS label: lower-case letters, digits and hyphens, beginning with a letter (RFC 1123)."""
    label = _NO_LABEL.sub("-", name.lower()).strip("-")
    if not label[:1].isalpha():
        label = f"model-{label}".rstrip("-")
    return label[:_MOST_NAME].rstrip("-")


def fetch_command(need: ModelNeed) -> shell.Text:
    """The command that fetches a model into the cache of whoever runs it."""
    words = ["hf", "download", need.repo]
    if need.revision:
        words += ["--revision", need.revision]
    if need.gguf_quant:
        words += ["--include", f"*{need.gguf_quant}*"]
    return shell.words(words)


def fetch_hints(service: Service) -> list[str]:
    """How each model gets into the cache of a host before the first start, for people."""
    return ["The model first, where it is not in the cache: " + fetch_command(need) for need in service.models]


def comments(lines: Sequence[str]) -> str:
    """Lines as comments of YAML and of units. A line never ends its comment; what cannot be seen becomes a sign."""
    return "".join(f"# {visible_line(line)}".rstrip() + "\n" for line in lines)


def _reads_gguf(serve: ServePlan) -> bool:
    family = family_of(serve.engine)
    return family is not None and family.gguf


def _checks(serve: ServePlan) -> str:
    """Ends the start of a server of GGUF files where the cache holds none: llama-server would serve without a model."""
    lines = []
    for need in serve.models:
        if _reads_gguf(serve):
            folder = f"{CACHE_TARGETS[0]}/hub/models--{need.repo.replace('/', '--')}/snapshots"
            missing = shell.word("the model is not in the cache: " + fetch_command(need))
            lines.append(
                shell.script(
                    "find {folder} -name {names} | grep -q . || {{ echo {missing} >&2; exit 1; }}\n",
                    folder=folder,
                    names=f"*{need.gguf_quant}*.gguf",
                    missing=missing,
                )
            )
    return "".join(lines)


def _with_server(ray_head: str, server: str, nodes: int) -> str:
    """The script of Ray's head node that also serves, once all nodes have joined."""
    count = "import ray; ray.init(address='auto', log_to_driver=False, logging_level='ERROR'); "
    count += f"raise SystemExit(sum(node['Alive'] for node in ray.nodes()) < {nodes})"
    return f'(\n{ray_head.rstrip()}\n) &\nuntil python3 -c "{count}" 2>/dev/null; do sleep 2; done\n{server}'


def _refuse(serve: ServePlan, ray: bool) -> None:
    if serve.by_scripts:
        raise LaunchError(
            "the recipe is launched by the scripts of another project, which cannot be exported",
            remedy="use `runtime: vllm` with the image that they build",
        )
    for stage in serve.stages:
        if stage.execs and not ray:
            raise LaunchError(
                f"{stage.title}: commands in running containers cannot be exported",
                remedy="use the layout without Ray: -o distributed_executor_backend=mp",
            )
        if stage.scripts:
            raise LaunchError(f"{stage.title}: commands on the hosts cannot be exported")
    for rank in serve.ranks:
        for hook in rank.container.before:
            if hook.bundle is not None or hook.mod:
                raise LaunchError(
                    f"{hook.title}: files that are copied into the containers cannot be exported",
                    remedy="build an image that holds them, and name it with --image",
                )


def _notes(plan: LaunchPlan) -> list[str]:
    serve = plan.serve
    notes = []
    for hook in (*serve.after, *serve.host_after):
        notes.append(f"Not carried over: {hook.title}, which runs once the model is served.")
    if any(rank.container.privileged for rank in serve.ranks):
        notes.append("The containers are privileged, as on the cluster.")
    return notes
