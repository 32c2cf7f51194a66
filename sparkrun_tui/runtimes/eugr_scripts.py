"""The scripts of eugr/spark-vllm-docker on the head host: cloned there, and made to build an image."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace

from sparkrun_tui.recipe.brought import Bundle
from sparkrun_tui.recipe.later import built_by_eugr
from sparkrun_tui.runtimes.eugr_recipe import version_one
from sparkrun_tui.runtimes.plan import HostScript, PlanRequest, ServePlan, Stage

REPOSITORY = "https://github.com/eugr/spark-vllm-docker"
_CLONE = """\
set -eu
clone={clone}
if [ ! -d "$clone/.git" ]; then
    GIT_TERMINAL_PROMPT=0 git clone --depth 1 -- {repository} "$clone"
fi
cd "$clone"
echo "spark-vllm-docker at $(git log -1 --format='%h of %cs')"
"""
_CHECK_WORKERS = """\
for worker in {workers}; do
    ssh -o BatchMode=yes -o ConnectTimeout=5 "$worker" true </dev/null || {{
        echo "the head cannot log in to $worker without a password: ssh-copy-id $worker" >&2
        exit 1
    }}
done
"""


def with_build(plan: ServePlan, request: PlanRequest, command: str) -> ServePlan:
    """The plan with a first stage that builds its image on the head and sends it to the workers, where one is missing.

    Only for a recipe that asks for eugr's builder, and an image that no registry has; `command` is what it serves with.
    """
    if not built_by_eugr(request.rendered.recipe):
        return plan
    file = f"{request.hosts[0].app_cache}/eugr/{request.launch_id}.yaml"
    files = {file: version_one(request.rendered, command, plan.image, {})}
    note = f"The image is built by {REPOSITORY}, cloned on {request.hosts[0].name}, and stays there for the next time."
    stage = build_stage(request, plan.image, file, files, {})
    return replace(plan, stages=(stage, *plan.stages), pull_image=False, notes=(*plan.notes, note))


def build_stage(
    request: PlanRequest, image: str, file: str, files: Mapping[str, str], sent: Mapping[str, Bundle]
) -> Stage:
    """The scripts build `image` for the recipe that they find in `file`, where it is missing."""
    title = f"Build {image} with the scripts where it is missing (this can take an hour)"
    build = f"./run-recipe.sh {path_word(file)} --build-only {where(request)} </dev/null\n"
    script = clone_scripts(request) + check_workers(request) + build
    return Stage(title, scripts=(HostScript(request.hosts[0].name, title, script, files, sent),))


def check_workers(request: PlanRequest) -> str:
    """A script that ends with what to do when the head cannot log in to a worker; empty without workers."""
    workers = [host.address for host in request.hosts[1:]]
    return _CHECK_WORKERS.format(workers=shlex.join(workers)) if workers else ""


def clone_scripts(request: PlanRequest) -> str:
    """A script that clones the scripts where they are missing, and goes there."""
    clone = f"{request.hosts[0].app_cache}/spark-vllm-docker"
    return _CLONE.format(clone=path_word(clone), repository=REPOSITORY)


def where(request: PlanRequest) -> str:
    """The arguments that tell the scripts on which hosts to work."""
    if len(request.hosts) == 1:
        return "--solo"
    return "-n " + shlex.quote(",".join(host.address for host in request.hosts))


def path_word(path: str) -> str:
    """A path quoted for the shell, with a leading `~` left to that host's shell."""
    if path == "~" or path.startswith("~/"):
        return '"$HOME"' + (shlex.quote(path[1:]) if path[1:] else "")
    return shlex.quote(path)
