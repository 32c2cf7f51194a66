"""The scripts of eugr/spark-vllm-docker on the head node: cloned there, and used to build an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sparkrun_tui.base import shell
from sparkrun_tui.engines.eugr.recipe import version_one
from sparkrun_tui.engines.plan import HostScript, HostView, PlanRequest, ServePlan, Stage
from sparkrun_tui.recipe.bundled_files.attachments import MOD_SCRIPT, Bundle
from sparkrun_tui.recipe.format.extensions import built_by_eugr
from sparkrun_tui.recipe.registry.checkouts import EUGR

REPOSITORY = EUGR
_CLONE = """\
set -eu
clone={clone}
if [ ! -d "$clone/.git" ]; then
    GIT_TERMINAL_PROMPT=0 git clone --depth 1 -- {repository} "$clone"
fi
cd -- "$clone"
echo "spark-vllm-docker at $(git log -1 --format='%h of %cs')"
"""
_CHECK = """\
login() {{
    # A worker may print without end, which would fill the memory of the head.
    there=$(ssh -a -x -o BatchMode=yes -o ConnectTimeout=5 -- "$1" cat /proc/sys/kernel/random/boot_id </dev/null |
        head -c 100)
    [ -n "$there" ] || {{
        echo "the head cannot log in to $1 without a password: ssh-copy-id $1" >&2
        exit 1
    }}
}}
# A host names its own address, and may name that of another machine.
same() {{
    [ "$there" = "$1" ] || {{
        echo "the head finds another machine at the address that $2 names" >&2
        exit 1
    }}
}}
"""
_LOGIN = "login {address}\n"
_SAME = "same {boot} {name}\n"
_BUILD = "./run-recipe.sh {file} --build-only {where} </dev/null\n"
_CHECK_MOD = """\
[ -f {script} ] || {{
    echo "spark-vllm-docker has no mod "{mod}"; if it is a new one: git -C $clone pull" >&2
    exit 1
}}
"""


def with_build(plan: ServePlan, request: PlanRequest, command: str) -> ServePlan:
    """The plan with a first stage that builds a missing image on the head node and sends it to the workers.

    The plan is unchanged unless the recipe asks for eugr's builder and no registry has the image. `command` is the
    serve command.
    """
    if not built_by_eugr(request.rendered.recipe):
        return plan
    file = f"{request.hosts[0].app_cache}/eugr/{request.launch_id}.yaml"
    files = {file: version_one(request.rendered, command, plan.image, {})}
    note = f"The image is built by {REPOSITORY}, cloned on {request.hosts[0].name}, and kept there for later launches."
    stage = build_stage(request, plan.image, file, files, {})
    return replace(plan, stages=(stage, *plan.stages), pull_image=False, notes=(*plan.notes, note))


def build_stage(
    request: PlanRequest, image: str, file: str, files: Mapping[str, str], sent: Mapping[str, Bundle]
) -> Stage:
    """A stage in which the scripts build a missing `image` for the recipe in `file`."""
    title = f"Build {image} with the scripts where it is missing (this can take an hour)"
    build = shell.script(_BUILD, file=shell.path_word(file), where=where(request))
    script = clone_scripts(request) + check_workers(request) + build
    return Stage(title, scripts=(HostScript(request.hosts[0].name, title, script, files, sent),), early=True)


def check_workers(request: PlanRequest) -> shell.Text:
    """A script that fails with a remedy where the head node cannot log in to a worker; empty without workers.

    It fails as well where the address of a worker leads to another machine than the one that was probed.
    """
    workers = request.hosts[1:]
    if not workers:
        return shell.script("")
    parts = [shell.script(_CHECK)]
    for host in workers:
        parts.append(shell.script(_LOGIN, address=host.address))
        if host.probed:
            parts.append(shell.script(_SAME, boot=host.boot_id or "(unknown)", name=host.name))
    return shell.joined(parts)


def clone_scripts(request: PlanRequest) -> shell.Text:
    """A script that clones the scripts where they are missing, and changes to their folder."""
    return _clone(request.hosts[0])


def _clone(host: HostView) -> shell.Text:
    return shell.script(_CLONE, clone=shell.path_word(scripts_folder(host)), repository=REPOSITORY)


def scripts_folder(host: HostView) -> str:
    """The folder of the scripts and their mods on a host."""
    return f"{host.app_cache}/spark-vllm-docker"


def mod_path(mod: str) -> str:
    """The folder of a mod among the scripts."""
    return f"mods/{mod.removeprefix('mods/')}"


def mods_stage(request: PlanRequest, mods: Sequence[str]) -> Stage:
    """A stage that clones the scripts with their mods on every host, and checks that `mods` are among them."""
    title = f"Fetch {', '.join(mods)} of spark-vllm-docker to every host"
    checks = shell.joined(shell.script(_CHECK_MOD, script=f"{mod_path(mod)}/{MOD_SCRIPT}", mod=mod) for mod in mods)
    scripts = tuple(HostScript(host.name, title, _clone(host) + checks) for host in request.hosts)
    return Stage(title, scripts=scripts, early=True)


def where(request: PlanRequest) -> shell.Text:
    """The scripts' arguments for the hosts to work on."""
    if len(request.hosts) == 1:
        return shell.words(["--solo"])
    return shell.words(["-n", ",".join(host.address for host in request.hosts)])
