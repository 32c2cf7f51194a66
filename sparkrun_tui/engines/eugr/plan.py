"""eugr-vllm: the launch is delegated to eugr/spark-vllm-docker, cloned on the head, which starts the containers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparkrun_tui.base import shell
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.engines.command.built import value_text
from sparkrun_tui.engines.command.secret_flags import hand_over
from sparkrun_tui.engines.command.serving import locate, port_of, served_name_of
from sparkrun_tui.engines.engine import Engine
from sparkrun_tui.engines.eugr.recipe import version_one
from sparkrun_tui.engines.eugr.scripts import REPOSITORY, build_stage, check_workers, clone_scripts, where
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.layout import hosts as host_rules
from sparkrun_tui.engines.layout.common import SCHEMA, hook_script, split_env
from sparkrun_tui.engines.layout.hooks import before_hooks, with_hooks
from sparkrun_tui.engines.layout.nccl import free_port
from sparkrun_tui.engines.layout.options import docker_arguments, refusals
from sparkrun_tui.engines.plan import LABEL, HostScript, ModelNeed, PlanRequest, ReadyCheck, ServePlan, Stage
from sparkrun_tui.engines.vllm.family import VLLM
from sparkrun_tui.engines.vllm.plan import DEFAULT_PORT, NAME_FLAGS, model_of
from sparkrun_tui.recipe.bundled_files.attachments import Bundle
from sparkrun_tui.recipe.format.detect import is_repository
from sparkrun_tui.recipe.format.hooks import hooks_of
from sparkrun_tui.recipe.format.spots import beginning
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.values.rendered import Rendered

DEFAULT_IMAGE = "vllm-node"
MASTER_PORT = 29501
_LABEL_SAFE = re.compile(r"[\w./:@,+=-]+")

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
    for worker in {workers}; do ssh -o BatchMode=yes -- "$worker" {remove} </dev/null || true; done
}}
trap forget EXIT
trap 'exit 143' HUP INT TERM
for worker in {workers}; do
    ssh -o BatchMode=yes -- "$worker" {keep} <"$secrets"
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
    short: str = "eugr"

    def image(self, recipe: Recipe) -> str:
        """The recipe's image, else the name the scripts build under."""
        return recipe.container or self.image_prefix

    def models(self, rendered: Rendered) -> tuple[ModelNeed, ...]:
        """The model and draft models as repositories; recipes of this kind may name them in the command only."""
        if rendered.recipe.model:
            return Engine.models(self, rendered)
        model = model_of(locate(self.command(rendered), self.family.dialect.starts)) or ""
        return (ModelNeed(model),) if "/" in model and is_repository(model) else ()

    def check(self, rendered: Rendered) -> tuple[Problem, ...]:
        """What delegation means for whoever reads the plan, and what every engine checks."""
        message = "this recipe is launched by foreign scripts; their phases are read from their log only"
        recipe = rendered.recipe
        told = Problem(Severity.NOTE, "delegated", message, recipe.spots.get("runtime") or beginning(recipe))
        return (told, *Engine.check(self, rendered))

    def plan(self, request: PlanRequest) -> ServePlan:
        """Two scripts on the head: build the image where it is missing, then launch. Raises `LaunchError`."""
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
        ready = ReadyCheck(
            host=head.name,
            port=port_of(rendered, said, DEFAULT_PORT),
            served_name=served_name_of(rendered, said, NAME_FLAGS, model_of(said)),
        )
        image = self.image(rendered.recipe)
        plain, secret = split_env(request.env, request.secret_env)
        file = f"{head.app_cache}/eugr/{request.launch_id}.yaml"
        secrets = f"{head.app_cache}/eugr/{request.launch_id}.env" if secret else ""
        files, sent = _files(request, file, command, image, plain)
        stages = []
        if _builds(rendered.recipe, image):
            stages.append(build_stage(request, image, file, files, sent))
        script = self._launch_script(request, image, file, secrets, ready)
        run = HostScript(head.name, "run-recipe.sh", script, files, sent, {secrets: secret} if secrets else {})
        stages.append(Stage("Launch through spark-vllm-docker", scripts=(run,)))
        plan = ServePlan(
            launch_id=request.launch_id,
            recipe=rendered.recipe,
            engine=self.name,
            image=image,
            models=self.models(rendered),
            ranks=(),
            stages=tuple(stages),
            ready=ready,
            notes=(*_notes(request), *handed.notes),
            problems=(*problems, *handed.problems),
            delegated=delegated_name(request.launch_id),
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
        file_words = shell.script('" --env-file $secrets"') if secrets else shell.script("")
        parts.append(shell.script(_EXTRA, extra=extra, secrets=file_words))
        more: list[str] = []
        if len(request.hosts) > 1:
            more = ["--master-port", str(free_port(MASTER_PORT, request.hosts))]
        elif "tensor_parallel" in request.rendered.chain:
            # Alone, the scripts set it to 1 unless it is an argument.
            more = ["--tensor-parallel", value_text("tensor_parallel", request.rendered)]
        arguments = shell.words(["-d", "--name", delegated_name(request.launch_id)])
        words = shell.joined([shell.path_word(file), arguments, where(request), *map(shell.word, more)], " ")
        parts.append(shell.script("./run-recipe.sh {words} </dev/null\n", words=words))
        return shell.joined(parts)


def _secret_script(path: str, workers: Sequence[str]) -> shell.Text:
    """The file of secrets sent on to the workers, and removed from all hosts at the end."""
    word, folder = shell.path_word(path), shell.path_word(path.rpartition("/")[0])
    keep = shell.script("umask 077; mkdir -p -- {folder}; cat >{path}", folder=folder, path=word)
    remove = shell.script("rm -f -- {path}", path=word)
    return shell.script(
        _SECRETS, path=word, workers=shell.words(workers), keep=shell.word(keep), remove=shell.word(remove)
    )


def _files(
    request: PlanRequest, file: str, command: str, image: str, env: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, Bundle]]:
    """What the scripts read on the head: the recipe and the mods that are here; texts, and files of this machine.

    What runs before the engine goes as a mod, too: a folder whose `run.sh` the scripts run in every container.
    """
    folder = f"{request.hosts[0].app_cache}/eugr/{request.launch_id}"
    entries = hooks_of(request.rendered).before
    mods: list[str] = []
    sent: dict[str, Bundle] = {}
    for number, entry in enumerate((entry for entry in entries if entry.is_mod), 1):
        bundle = request.brought.bundles.get(entry)
        place = f"{folder}-mods/{number}/{entry.target.rpartition('/')[2]}"
        mods.append(place if bundle is not None else entry.source)
        sent.update({place: bundle} if bundle is not None else {})
    before = before_hooks(request, [entry for entry in entries if not entry.is_mod], _beside)
    files = {}
    if before:
        mods.append(f"{folder}-before")
        files[f"{folder}-before/run.sh"] = f"#!/bin/bash\n{hook_script(before)}"
        copies = ((number, hook.bundle) for number, hook in enumerate(before, 1))
        sent |= {f"{folder}-before/before-{number}": bundle for number, bundle in copies if bundle is not None}
    return files | {file: version_one(request.rendered, command, image, env, mods)}, sent


def _beside(number: int) -> shell.Text:
    """The files of a hook, which lie beside the mod that it is part of."""
    return shell.script('"$PWD"/before-{number}', number=number)


def _option_problems(request: PlanRequest) -> tuple[Problem, ...]:
    return (*_cache_problems(request), *refusals(request), *docker_arguments(request)[1])


def _notes(request: PlanRequest) -> tuple[str, ...]:
    return (
        f"The containers are made by {REPOSITORY}, cloned on {request.hosts[0].name}; they are called "
        f"{delegated_name(request.launch_id)} on every host and leave no log once they end.",
        "They run privileged: the scripts' own choice.",
    )


def delegated_name(launch_id: str) -> str:
    """The name of the containers of a delegated launch: ours and new, since a running one would be reused."""
    return f"sparkrun-tui-{launch_id}"


def _builds(recipe: Recipe, image: str) -> bool:
    """Whether the image exists only where the scripts built it: build arguments, or a name without a registry."""
    return bool(recipe.runtime_config.get("build_args")) or "/" not in image


def _label_arguments(request: PlanRequest, engine: str, ready: ReadyCheck) -> str:
    """Labels for the scripts' containers; the scripts split the text at blanks, so only plain values can go."""
    recipe = request.rendered.recipe
    redact = Redactor(request.secret_env.values())
    labels = {
        "schema": SCHEMA,
        "launch": request.launch_id,
        "recipe": recipe.name,
        "recipe-digest": recipe.digest,
        "engine": engine,
        "nodes": str(len(request.hosts)),
        "hosts": ",".join(host.name for host in request.hosts),
        "port": str(ready.port),
        "model": recipe.model,
        "served": ready.served_name,
    }
    safe = {key: redact(value) for key, value in labels.items()}
    return " ".join(f"--label {LABEL}{key}={value}" for key, value in safe.items() if _LABEL_SAFE.fullmatch(value))


def _cache_problems(request: PlanRequest) -> tuple[Problem, ...]:
    """The scripts mount the cache of the home folder, whatever the host's settings say."""
    found = []
    for host in request.hosts:
        if host.probed and host.hf_cache != f"{host.home}/.cache/huggingface":
            message = f"{host.name}: the scripts mount ~/.cache/huggingface, and this host's cache is {host.hf_cache}"
            found.append(Problem(Severity.WARNING, "hf-cache", message, remedy="link one to the other on that host"))
    return tuple(found)
