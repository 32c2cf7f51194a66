"""The engine `eugr-vllm`: eugr/spark-vllm-docker, cloned on the head node, starts the containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import Redactor, Secret
from sparkrun_tui.engines.command.built import value_text
from sparkrun_tui.engines.command.secret_flags import hand_over
from sparkrun_tui.engines.command.serving import locate, port_of, served_name_of
from sparkrun_tui.engines.engine import Engine
from sparkrun_tui.engines.eugr.recipe import version_one
from sparkrun_tui.engines.eugr.scripts import REPOSITORY, build_stage, check_workers, clone_scripts, where
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.layout import hosts as host_rules
from sparkrun_tui.engines.layout.assemble import as_asked, several_images, with_more
from sparkrun_tui.engines.layout.common import hook_script, launch_fields_on, launch_labels, split_env
from sparkrun_tui.engines.layout.hook_env import hook_env
from sparkrun_tui.engines.layout.hooks import before_hooks, with_hooks
from sparkrun_tui.engines.layout.nccl import free_port
from sparkrun_tui.engines.layout.options import docker_arguments, refusals
from sparkrun_tui.engines.layout.ready import ready_check
from sparkrun_tui.engines.plan import (
    LABEL,
    HostScript,
    ModelNeed,
    PlanRequest,
    ReadyCheck,
    ServePlan,
    Stage,
    delegated_name,
)
from sparkrun_tui.engines.vllm.family import VLLM
from sparkrun_tui.engines.vllm.plan import DEFAULT_PORT, NAME_FLAGS, model_of
from sparkrun_tui.recipe.bundled_files.attachments import Bundle
from sparkrun_tui.recipe.format.hooks import hooks_of
from sparkrun_tui.recipe.format.spots import beginning
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.names.detect import is_repository
from sparkrun_tui.recipe.names.images import image_on
from sparkrun_tui.recipe.values.env_fields import launch_fields, with_launch
from sparkrun_tui.recipe.values.rendered import Rendered

DEFAULT_IMAGE = "vllm-node"
MASTER_PORT = 29501
_LABEL_SAFE = late_regex(r"[\w./:@,+=-]+")

_CHECK_IMAGE = """\
docker image inspect {image} >/dev/null || {{
    echo "the image "{image}" is not on this host" >&2
    exit 1
}}
"""
_SECRETS = """\
secrets={path}
forget() {{
    rm -f -- "$secrets"
    for worker in {workers}; do ssh -a -x -o BatchMode=yes -- "$worker" {remove} </dev/null || true; done
}}
trap forget EXIT
trap 'exit 143' HUP INT TERM
for worker in {workers}; do
    ssh -a -x -o BatchMode=yes -- "$worker" {keep} <"$secrets"
done
"""
_EXTRA = """\
export VLLM_SPARK_EXTRA_DOCKER_ARGS="${{VLLM_SPARK_EXTRA_DOCKER_ARGS:-}} "{extra}{secrets}
"""


@dataclass(frozen=True, slots=True)
class EugrVllm(Engine):
    """vLLM through the scripts of eugr/spark-vllm-docker."""

    name: str = "eugr-vllm"
    title: str = "vLLM (eugr)"
    family: Family = VLLM
    image_prefix: str = DEFAULT_IMAGE

    def image(self, recipe: Recipe) -> str:
        """The recipe's image, else the name of the image that the scripts build."""
        return recipe.container or self.image_prefix

    def models(self, rendered: Rendered) -> tuple[ModelNeed, ...]:
        """The repositories of the model and its draft model; these recipes may name the model only in the command."""
        if rendered.recipe.model:
            return Engine.models(self, rendered)
        model = model_of(locate(self.command(rendered), self.family.dialect.starts)) or ""
        if "/" in model and is_repository(model):
            return (ModelNeed(model),)
        return ()

    def check(self, rendered: Rendered) -> tuple[Problem, ...]:
        """A note that the launch is delegated, and what every engine checks."""
        message = "this recipe is launched by the scripts of another project; their phases are read only from their log"
        recipe = rendered.recipe
        note = Problem(Severity.NOTE, "delegated", message, recipe.spots.get("runtime") or beginning(recipe))
        return (note, *Engine.check(self, rendered))

    def plan(self, request: PlanRequest) -> ServePlan:
        """Two scripts on the head node: build the image where it is missing, then launch. Raises `LaunchError`."""
        rendered, hosts = request.rendered, request.hosts
        head = hosts[0]
        problems = (
            *host_rules.check_hosts(rendered, self.family, hosts),
            *self.check(rendered),
            *_option_problems(request),
        )
        handed = hand_over(self.command(rendered), request, self.family)
        command, request = handed.script, handed.request
        said = locate(command, self.family.dialect.starts, request.env)
        name = served_name_of(rendered, said, NAME_FLAGS, model_of(said))
        ready = ready_check(request, said, self.family, port_of(rendered, said, DEFAULT_PORT), name)
        ready = as_asked(ready, rendered)
        image = image_on(rendered.recipe, head.name) or self.image(rendered.recipe)
        problems = (*problems, *several_images(request, image, "the scripts run one image on all hosts"))
        plain, secret = _filled_env(request)
        file = f"{head.app_cache}/eugr/{request.launch_id}.yaml"
        secrets = ""
        secret_files: dict[str, Mapping[str, Secret]] = {}
        if secret:
            secrets = f"{head.app_cache}/eugr/{request.launch_id}.env"
            secret_files[secrets] = secret
        files, sent = _files(request, file, command, image, plain, ready)
        stages = []
        if _builds(rendered.recipe, image):
            stages.append(build_stage(request, image, file, files, sent))
        script = self._launch_script(request, image, file, secrets, ready)
        run = HostScript(head.name, "run-recipe.sh", script, files=files, sent=sent, secret_files=secret_files)
        stages.append(Stage("Launch through spark-vllm-docker", scripts=(run,)))
        plan = ServePlan(
            launch_id=request.launch_id,
            recipe=rendered.recipe,
            engine=self.name,
            image=image,
            models=with_more(self.models(rendered), rendered),
            ranks=(),
            stages=tuple(stages),
            ready=ready,
            notes=(*_notes(request), *handed.notes),
            problems=(*problems, *handed.problems),
            by_scripts=True,
            pull_image=not _builds(rendered.recipe, image),
        )
        return with_hooks(plan, request, delegated_name(request.launch_id))

    def _launch_script(
        self, request: PlanRequest, image: str, file: str, secrets: str, ready: ReadyCheck
    ) -> shell.Text:
        workers = [host.address for host in request.hosts[1:]]
        parts = [clone_scripts(request), check_workers(request)]
        parts.append(shell.script(_CHECK_IMAGE, image=image))
        if secrets:
            parts.append(_secret_script(secrets, workers))
        extra = " ".join([_label_arguments(request, self.name, ready), *docker_arguments(request)[0]])
        file_words = shell.script("")
        if secrets:
            file_words = shell.script('" --env-file $secrets"')
        parts.append(shell.script(_EXTRA, extra=extra, secrets=file_words))
        more: list[str] = []
        if len(request.hosts) > 1:
            more = ["--master-port", str(free_port(MASTER_PORT, request.hosts))]
        elif "tensor_parallel" in request.rendered.chain:
            # On one host the scripts set it to 1 unless it is an argument.
            more = ["--tensor-parallel", value_text("tensor_parallel", request.rendered)]
        arguments = shell.words(["-d", "--name", delegated_name(request.launch_id)])
        words = shell.joined([shell.path_word(file), arguments, where(request), *map(shell.word, more)], " ")
        parts.append(shell.script("./run-recipe.sh {words} </dev/null\n", words=words))
        return shell.joined(parts)


def _secret_script(path: str, workers: Sequence[str]) -> shell.Text:
    """A script that copies the file of secrets to the workers, and removes it from all hosts at the end."""
    word, folder = shell.path_word(path), shell.path_word(path.rpartition("/")[0])
    keep = shell.script("umask 077; mkdir -p -- {folder}; cat >{path}", folder=folder, path=word)
    remove = shell.script("rm -f -- {path}", path=word)
    return shell.script(
        _SECRETS, path=word, workers=shell.words(workers), keep=shell.word(keep), remove=shell.word(remove)
    )


def _files(
    request: PlanRequest, file: str, command: str, image: str, env: Mapping[str, str], ready: ReadyCheck
) -> tuple[dict[str, str], dict[str, Bundle]]:
    """The files that the scripts read on the head node: texts by path, and files of this machine by folder.

    They are the recipe, and this machine's mods. Hooks before the engine are sent as a mod too: a folder whose `run.sh`
    the scripts run in every container.
    """
    folder = f"{request.hosts[0].app_cache}/eugr/{request.launch_id}"
    mod_entries = []
    hook_entries = []
    for entry in hooks_of(request.rendered).before:
        if entry.is_mod:
            mod_entries.append(entry)
        else:
            hook_entries.append(entry)
    mods: list[str] = []
    sent: dict[str, Bundle] = {}
    for number, entry in enumerate(mod_entries, 1):
        bundle = request.attachments.bundles.get(entry)
        if bundle is None:
            mods.append(entry.source)
            continue
        place = f"{folder}-mods/{number}/{entry.target.rpartition('/')[2]}"
        mods.append(place)
        sent[place] = bundle
    files: dict[str, str] = {}
    before = []
    rank = 0 if len(request.hosts) == 1 else None
    for hook in before_hooks(request, hook_entries, _beside):
        place = delegated_name(request.launch_id)
        env = hook_env(request, "pre_exec", ready, rank=rank, container=place, cache="")
        before.append(replace(hook, env=env))
    if before:
        mods.append(f"{folder}-before")
        files[f"{folder}-before/run.sh"] = f"#!/bin/bash\n{hook_script(before)}"
        for number, hook in enumerate(before, 1):
            if hook.bundle is not None:
                sent[f"{folder}-before/before-{number}"] = hook.bundle
    files[file] = version_one(request.rendered, command, image, env, mods)
    return files, sent


def _beside(number: int) -> shell.Text:
    """The folder of a hook's files, beside the script of the mod that it is part of."""
    return shell.script('"$PWD"/before-{number}', number=number)


def _filled_env(request: PlanRequest) -> tuple[dict[str, str], dict[str, Secret]]:
    """Plain and secret variables with the fields of the launch, which the scripts give to all hosts alike.

    Raises `LaunchError` for a field that differs between hosts.
    """
    recipe = request.rendered.recipe
    fields = launch_fields(recipe)
    differing = fields & {"node_rank", "node_host"} if len(request.hosts) > 1 else frozenset()
    lacking = sorted(differing | (fields & {"runtime_cache_dir"}))
    if lacking:
        raise LaunchError(
            f"`env` asks for {{launch.{lacking[0]}}}, and the scripts that launch this recipe cannot set it",
            spot=recipe.spots.get("env"),
            remedy="use it in recipes of another engine only",
        )
    values = launch_fields_on(request, 0)
    plain, secret = split_env(request.env, request.secret_env)
    plain = {name: with_launch(value, values) for name, value in plain.items()}
    return plain, {name: Secret(with_launch(value.reveal(), values)) for name, value in secret.items()}


def _option_problems(request: PlanRequest) -> tuple[Problem, ...]:
    return (*_cache_problems(request), *refusals(request), *docker_arguments(request)[1])


def _notes(request: PlanRequest) -> tuple[str, ...]:
    return (
        f"The containers are created by {REPOSITORY}, cloned on {request.hosts[0].name}; they are called "
        f"{delegated_name(request.launch_id)} on every host and leave no log once they end.",
        "They run privileged: the scripts decide that.",
    )


def _builds(recipe: Recipe, image: str) -> bool:
    """Whether the scripts build the image: the recipe has build arguments, or the name has no registry."""
    return bool(recipe.runtime_config.get("build_args")) or "/" not in image


def _label_arguments(request: PlanRequest, engine: str, ready: ReadyCheck) -> str:
    """Labels for the scripts' containers; the scripts split the text at blanks, so other values are left out."""
    redact = Redactor(request.secret_env.values())
    words = []
    for key, value in launch_labels(request, engine, ready).items():
        safe = redact(value)
        if _LABEL_SAFE.fullmatch(safe):
            words.append(f"--label {LABEL}{key}={safe}")
    return " ".join(words)


def _cache_problems(request: PlanRequest) -> tuple[Problem, ...]:
    """A warning for each host with its cache outside the home folder: the scripts always mount the one there."""
    found = []
    for host in request.hosts:
        if host.probed and host.hf_cache != f"{host.home}/.cache/huggingface":
            message = f"{host.name}: the scripts mount ~/.cache/huggingface, but this host's cache is {host.hf_cache}"
            found.append(Problem(Severity.WARNING, "hf-cache", message, remedy="link one to the other on that host"))
    return tuple(found)
