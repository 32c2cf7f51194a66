"""Why a host fails before any engine runs: Docker, images, SSH, copies."""

from __future__ import annotations

import re

from sparkrun_tui.base.patterns import GAP, SHORT_GAP
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.logs.causes import Cause, Context, Weight, by_hand, cause

_TOOLKIT = by_hand("sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker")
_ARM_IMAGE = by_hand("use an image for arm64", "a Spark cannot run x86 images at a useful speed")


def _hook_failed(match: re.Match[str], context: Context) -> str:
    text = f"{match[1]} ended with exit code {match[2]}, so the engine was not started"
    for line in reversed(context.before):
        if line.strip():
            if not line.startswith("sparkrun-tui: "):
                text += f"; its last line: {shorten(line, 300)}"
            break
    return text


HOST_CAUSES: tuple[Cause, ...] = (
    cause(
        r"^sparkrun-tui: ((?:pre_exec|mods).*) ended with exit code (\d+)$",
        "A command before the engine failed",
        _hook_failed,
        by_hand("correct `pre_exec` in the recipe", "the lines above in the log are what it printed"),
        weight=Weight.OURS,
    ),
    cause(
        r"no matching manifest for (\S+)|image's platform \((\S+)\) does not match|exec format error",
        "The image is for another processor",
        lambda match, _: f"The image has no build for this host{f' ({match[1]})' if match[1] else ''}.",
        _ARM_IMAGE,
    ),
    cause(
        r"manifest unknown|manifest for (\S+) not found",
        "The image's tag does not exist",
        "The registry has no such tag; it may have been removed.",
        by_hand("choose another tag in `container`"),
    ),
    cause(
        r"pull access denied for ([^\s,]+)|repository does not exist or may require|"
        r"unauthorized: |denied: requested access",
        "The image cannot be pulled",
        lambda match, _: (
            f"The registry does not provide {match[1] or 'the image'}: it is private, or only on its build host."
        ),
        by_hand("`docker login` on the host, if the image is private"),
        by_hand("build it on the host, or send it from the workstation", "names without a registry are local images"),
    ),
    cause(
        r"requirement error: unsatisfied condition: (cuda\S{1,40})",
        "The driver is too old for the image",
        "The image asks for {0} and the host's driver offers less.",
        by_hand("update the host's driver, then restart the host"),
        by_hand("use an older image of the engine"),
    ),
    cause(
        r"[Dd]river/library version mismatch",
        "The driver was updated, but the host was not restarted",
        "The kernel still runs the old driver, but its libraries are new.",
        by_hand("restart the host"),
    ),
    cause(
        r"error setting rlimit type \d+: operation not permitted",
        "Docker may not raise limits on this host",
        "This Docker runs without root rights (rootless, or in an unprivileged container): memory cannot be locked.",
        by_hand("use the host's system-wide Docker", "docker context ls shows which one answers"),
    ),
    cause(
        r'exec: "(\S{1,100})": executable file not found in \$PATH',
        "The image lacks a program",
        "There is no `{0}` in this image, and the start script needs it.",
        by_hand("check `container`: it must be an image of this engine, with a shell"),
    ),
    cause(
        r'could not select device driver "" with capabilities: \[\[gpu\]\]|nvidia-container-cli: |'
        r"unknown (?:or invalid )?runtime(?: name)?: nvidia|failed to discover GPU vendor from CDI|"
        r"unresolvable CDI devices? nvidia",
        "Docker has no GPU on this host",
        "Docker on this host is not set up for the GPU.",
        _TOOLKIT,
    ),
    cause(
        r"permission denied while trying to connect to the [Dd]ocker|"
        rf"dial unix {SHORT_GAP}docker\.sock: {SHORT_GAP}permission denied",
        "No access to Docker",
        "Your user may not use Docker on this host.",
        by_hand("sudo usermod -aG docker $USER", "then log in again"),
    ),
    cause(
        r"Cannot connect to the Docker daemon",
        "Docker does not run",
        "The Docker daemon does not answer on this host.",
        by_hand("sudo systemctl start docker"),
    ),
    cause(
        r'Conflict\. The container name "/?([^"]+)" is already in use',
        "A container has this name already",
        "{0} exists on this host, most often from an earlier launch.",
        by_hand("stop and remove it in the fleet view"),
    ),
    cause(
        r"docker-import-\S{1,200}: no such file",
        "The image is incomplete",
        "The transfer of the image broke off.",
        by_hand("launch again, and check the disk"),
    ),
    cause(
        rf"REMOTE HOST IDENTIFICATION HAS CHANGED|host key {GAP}changed",
        "The host's key has changed",
        "The host was reinstalled, or another machine intercepts the connection. A changed key is not accepted.",
        by_hand("ssh-keygen -R HOST", "only if you know why the key is new"),
    ),
    cause(
        r"Host key verification failed",
        "The host's key is not known",
        "The host's key was not confirmed yet.",
        by_hand("connect once and compare the fingerprint"),
    ),
    cause(
        rf"time(?:d )?-?out{GAP}banner exchange|banner exchange{GAP}time(?:d )?-?out",
        "The host hardly answers",
        "The host accepts connections, but answers nothing: most often it has run out of memory.",
        by_hand("wait, or restart it; do not launch there meanwhile"),
    ),
    cause(
        r"ssh: connect to host (\S{1,300}) port (\d+): (.+)",
        "The host cannot be reached",
        "{0} port {1}: {2}. An address of the fast link is often only reachable from the other hosts.",
        by_hand("use the management address in the cluster"),
    ),
    cause(
        rf'rsync: {SHORT_GAP}mkdir (?:"([^"]{{1,200}})"|([^" ]{{1,200}})) failed: (.+)|rsync: {GAP}(Permission denied)',
        "The copy cannot be written",
        "The cache folder on the host is missing or belongs to another user.",
        by_hand("sudo chown -R $USER ~/.cache/huggingface on that host"),
    ),
    cause(
        r"Unknown runtime: '?([\w-]+)",
        "The recipe wants another launcher",
        "{0} is not an engine that this program launches.",
        by_hand("choose a recipe for vLLM, SGLang or llama.cpp"),
    ),
)
