"""The steps of a plan: check, image, model, start and wait, each with the commands that do the same by hand."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base import shell
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.layout.common import limited
from sparkrun_tui.engines.llama_cpp.gguf_files import USUAL_QUANT
from sparkrun_tui.engines.offers import BY_NAME, COMPLETION, offer_at
from sparkrun_tui.engines.plan import (
    ContainerExec,
    Hook,
    HostScript,
    HostView,
    ModelNeed,
    Phase,
    PortWait,
    RankPlan,
    RayNodesWait,
    ServePlan,
    Stage,
)
from sparkrun_tui.launch.plan import curl
from sparkrun_tui.launch.plan.containers import (
    brings_files,
    copy_commands,
    create_command,
    exec_command,
    mount_folders,
    run_command,
    send_command,
)
from sparkrun_tui.launch.plan.guarding import guard_steps
from sparkrun_tui.launch.plan.host_views import fast_address
from sparkrun_tui.launch.plan.shapes import WORKSTATION, Command, PlanStep
from sparkrun_tui.models.snapshot import folder_name
from sparkrun_tui.recipe.bundled_files.attachments import Bundle
from sparkrun_tui.recipe.format.hooks import model_on_hosts
from sparkrun_tui.recipe.values.launching import readiness_texts

_RSYNC = "rsync -rlt --partial-dir=.partial --exclude='*.incomplete' --exclude=.locks --info=progress2 -- {source} {to}"
_LOOK = "docker info --format '{{{{.ServerVersion}}}} {{{{json .Runtimes}}}}' && df -h ~ && free -g && ss -Hltn"
_END = "docker stop -t {grace} {name} && docker rm {name}"
_LOCAL_HUB = "~/.cache/huggingface/hub"


def plan_steps(serve: ServePlan, hosts: Sequence[HostView], cluster: Cluster) -> tuple[PlanStep, ...]:
    """Every step of `serve` on `hosts` of `cluster`, in the order in which a launch does them."""
    steps = [_check(serve, hosts)]
    steps += [_stage(serve, stage) for stage in serve.stages if stage.early]
    if serve.pull_image:
        steps.append(_image(serve, hosts))
    steps += [_model(need, hosts) for need in serve.models]
    for stage in (stage for stage in serve.stages if not stage.early):
        steps += [*_files(serve, stage), _stage(serve, stage)]
    steps += [*guard_steps(serve, cluster, hosts), _wait(serve)]
    steps += [*_after(serve), *_stop(serve, hosts)]
    return tuple(steps)


def _names(hosts: Sequence[HostView]) -> tuple[str, ...]:
    return tuple(host.name for host in hosts)


def _check(serve: ServePlan, hosts: Sequence[HostView]) -> PlanStep:
    commands = [Command(host.name, shell.script(_LOOK), changes=False) for host in hosts]
    detail = f"reachable, Docker, GPU runtime, disk, memory, port {serve.ready.port} free"
    model = model_on_hosts(serve.recipe)
    if model is not None and model.source:
        detail += f", {model.source} is there"
        test = shell.script("test -r {path}", path=shell.path_word(model.source))
        commands += [Command(host.name, test, changes=False) for host in hosts]
    return PlanStep(Phase.CHECK, "check", _names(hosts), detail, tuple(commands))


def _image(serve: ServePlan, hosts: Sequence[HostView]) -> PlanStep:
    commands = []
    for host in hosts:
        pull = shell.script("docker pull {image}", image=serve.image_on(host.name))
        commands.append(Command(host.name, pull))
    images = " and ".join(serve.images)
    return PlanStep(Phase.IMAGE, "image", _names(hosts), f"{images}, pulled where it is missing", tuple(commands))


def _model(need: ModelNeed, hosts: Sequence[HostView]) -> PlanStep:
    commands = [Command(WORKSTATION, download_command(need), downloads=True)]
    commands += [Command(WORKSTATION, ship_command(need, host), target=host.name) for host in hosts]
    what = need.repo
    if need.gguf_quant and need.gguf_quant != USUAL_QUANT:
        what = f"{need.repo}:{need.gguf_quant}"
    detail = f"{what}, downloaded here and sent to each host where it is missing"
    if need.gguf_quant and "*" in "".join(_patterns(need)):
        of = "one quantisation" if need.gguf_quant == USUAL_QUANT else need.gguf_quant
        detail += f"; the launch takes only the files of {of}, this pattern may match others too"
    return PlanStep(Phase.MODEL, "model", _names(hosts), detail, tuple(commands))


def download_command(need: ModelNeed, files: Sequence[str] = ()) -> shell.Text:
    """`hf download` for the needed part of a model; `files` are those of the GGUF quantisation, if known."""
    words = ["hf", "download", need.repo]
    if need.revision:
        words += ["--revision", need.revision]
    for pattern in files or _patterns(need):
        words += ["--include", pattern]
    return shell.words(words)


def _patterns(need: ModelNeed) -> tuple[str, ...]:
    quant = need.gguf_quant
    if not quant:
        return need.patterns
    if quant.lower().endswith(".gguf"):
        return (quant, *need.patterns)
    if quant == USUAL_QUANT:
        return ("*.gguf",)
    found = [f"*{quant}*.gguf"]
    for pattern in need.patterns:
        if "*" not in pattern:
            is_file = pattern.lower().endswith(".gguf")
            pattern = f"*{pattern}" if is_file else f"*mmproj*{pattern}*.gguf"
        found.append(pattern)
    return tuple(found)


def ship_command(need: ModelNeed, host: HostView) -> shell.Text:
    """`rsync` of a model's folder from this machine's cache to a host's."""
    source = shell.path_word(f"{_LOCAL_HUB}/{folder_name(need.repo)}")
    return shell.script(_RSYNC, source=source, to=f"{host.name}:{host.hf_cache}/hub/")


def relay_command(need: ModelNeed, source: HostView, target: HostView) -> Command:
    """`rsync` of a model's folder from one host's cache to another's, run on the first."""
    folder = shell.path_word(f"{source.hf_cache}/hub/{folder_name(need.repo)}")
    to = f"{fast_address(target, source)}:{target.hf_cache}/hub/"
    return Command(source.name, shell.script(_RSYNC, source=folder, to=to))


def _stage(serve: ServePlan, stage: Stage) -> PlanStep:
    by_rank = {rank.rank: rank for rank in serve.ranks}
    commands: list[Command] = []
    hook_keys: dict[str, None] = {}
    for number in stage.start:
        rank = by_rank[number]
        if brings_files(rank.container):
            commands.append(Command(rank.host, shell.words(["docker", "start", rank.container.name])))
        else:
            commands += _made(rank, run_command(rank.container))
        for hook in rank.container.before:
            hook_keys[hook.title.partition(" ")[0]] = None
    for execution in stage.execs:
        rank = by_rank[execution.rank]
        commands.append(Command(rank.host, exec_command(rank.container.name, execution)))
    for script in stage.scripts:
        commands += _host_script(script)
    head = serve.ready.host
    if isinstance(stage.wait, PortWait):
        connect = shell.script(": <{target}", target=f"/dev/tcp/{stage.wait.address}/{stage.wait.port}")
        wait = shell.script("until bash -c {connect} 2>/dev/null; do sleep 1; done", connect=shell.word(connect))
        commands.append(Command(head, wait, changes=False))
    elif isinstance(stage.wait, RayNodesWait):
        name = by_rank[stage.wait.rank].container.name
        commands.append(Command(head, shell.words(["docker", "exec", name, "ray", "status"]), changes=False))
    hosts = tuple(dict.fromkeys(command.host for command in commands))
    detail = stage.title
    if hook_keys:
        detail += f", {' and '.join(hook_keys)} first"
    detail += _wait_detail(stage)
    return PlanStep(Phase.START, "start", hosts, detail, tuple(commands))


def _made(rank: RankPlan, text: shell.Text) -> list[Command]:
    folders = mount_folders(rank.container)
    commands = []
    if folders:
        commands.append(Command(rank.host, shell.script("mkdir -p -- {folders}", folders=folders)))
    commands.append(Command(rank.host, text))
    return commands


def _files(serve: ServePlan, stage: Stage) -> list[PlanStep]:
    """The steps that copy files of this machine for a stage: into its containers, created for that, or to a host."""
    ranks = [rank for rank in serve.ranks if rank.rank in stage.start and brings_files(rank.container)]
    created: list[Command] = []
    sent: list[Command] = []
    bundles: list[Bundle] = []
    for rank in ranks:
        created += _made(rank, create_command(rank.container))
        sent += [Command(WORKSTATION, text) for text in copy_commands(rank.host, rank.container)]
    if ranks:
        # Every rank gets the same files.
        bundles += [hook.bundle for hook in ranks[0].container.before if hook.bundle is not None]
    for script in stage.scripts:
        for folder, bundle in script.sent.items():
            sent.append(Command(WORKSTATION, send_command(script.host, folder, bundle)))
            bundles.append(bundle)

    steps = []
    hosts = tuple(rank.host for rank in ranks)
    if created:
        detail = "containers that files are copied into"
        steps.append(PlanStep(Phase.START, "create", hosts, detail, tuple(created)))
    if sent:
        if not hosts:
            hosts = tuple(dict.fromkeys(script.host for script in stage.scripts))
        detail = "; ".join(dict.fromkeys(f"{bundle} from {bundle.place}" for bundle in bundles))
        size = sum(bundle.size for bundle in bundles) * len(hosts)
        steps.append(PlanStep(Phase.START, "files", hosts, detail, tuple(sent), size))
    return steps


def _wait_detail(stage: Stage) -> str:
    if isinstance(stage.wait, PortWait):
        return f", then wait for {stage.wait.address}:{stage.wait.port}"
    if isinstance(stage.wait, RayNodesWait):
        return f", then wait for {stage.wait.nodes} Ray nodes"
    return ""


def _host_script(script: HostScript) -> list[Command]:
    commands = []
    for path, content in script.files.items():
        write = shell.script("printf %s {content} > {path}", content=content, path=shell.path_word(path))
        commands.append(Command(script.host, write))
    for path, values in script.secret_files.items():
        names = [name for name in values if identifiers.variable_name(name)]
        pattern = f"^({'|'.join(names)})="
        keep = shell.script(
            "(umask 077; env | grep -E {pattern} > {path})", pattern=pattern, path=shell.path_word(path)
        )
        commands.append(Command(script.host, keep))
    commands.append(Command(script.host, script.script))
    return commands


def _after(serve: ServePlan) -> list[PlanStep]:
    """The steps for what the recipe runs once it serves, in the head's container and on the head host."""
    steps = []
    if serve.after:
        name = serve.delegated or serve.ranks[0].container.name
        commands = tuple(
            Command(serve.ready.host, exec_command(name, ContainerExec(0, hook.title, limited(hook))))
            for hook in serve.after
        )
        steps.append(PlanStep(Phase.READY, "post_exec", (serve.ready.host,), _each(serve.after), commands))
    if serve.host_after:
        commands = tuple(Command(serve.ready.host, limited(hook)) for hook in serve.host_after)
        steps.append(PlanStep(Phase.READY, "post_commands", (serve.ready.host,), _each(serve.host_after), commands))
    return steps


def _stop(serve: ServePlan, hosts: Sequence[HostView]) -> list[PlanStep]:
    """The step that stops a server which was only started for the commands above."""
    if not serve.stop_after:
        return []
    # A delegated server has one container of the same name on every host.
    names = {rank.host: rank.container.name for rank in serve.ranks}
    if not names:
        names = dict.fromkeys(_names(hosts), serve.delegated)
    commands = []
    for host, name in names.items():
        commands.append(Command(host, shell.script(_END, grace=round(serve.stop_grace), name=name)))
    detail = "stopped once the commands above have succeeded"
    return [PlanStep(Phase.READY, "stop_after_post", tuple(names), detail, tuple(commands))]


def _each(hooks: Sequence[Hook]) -> str:
    return "; ".join(hook.command.partition("\n")[0] for hook in hooks)


def _wait(serve: ServePlan) -> PlanStep:
    ready = serve.ready
    base = f"http://127.0.0.1:{ready.port}"
    key = ""
    if ready.key.wanted:
        key = ready.key.variable
    texts = [curl.get(f"{base}{ready.health_path}", key), curl.get(f"{base}{ready.models_path}", key)]
    detail = f"{ready.health_path}, model name"
    if ready.token:
        offer = offer_at(ready.token_path) or BY_NAME.get(ready.offers, COMPLETION)
        texts.append(curl.post(base, offer, ready.served_name, ready.prompt, key, fails=True))
        detail += f", {offer.one}"
    asked = readiness_texts(serve.recipe.readiness)
    if asked:
        detail += f" ({'; '.join(asked)})"
    commands = tuple(Command(ready.host, text, changes=False) for text in texts)
    return PlanStep(Phase.READY, "wait", (ready.host,), detail, commands)
