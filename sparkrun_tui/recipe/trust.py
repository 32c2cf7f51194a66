"""What a recipe would do beyond serving, and which recipes of others the user has agreed to."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from sparkrun_tui.base import paths
from sparkrun_tui.base.files import read_text, update_private
from sparkrun_tui.base.json_text import parse_json
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.text import visible_line
from sparkrun_tui.recipe.bundled_files.attachments import Brought, Bundle, bring
from sparkrun_tui.recipe.format.extensions import built_by_eugr
from sparkrun_tui.recipe.format.hooks import Hooks, container_options, hooks_of
from sparkrun_tui.recipe.format.images import parse_image
from sparkrun_tui.recipe.format.mounts import (
    grave_mount,
    harmless_capability,
    harmless_device,
    is_agreed,
    split_volume,
)
from sparkrun_tui.recipe.format.pre_exec import Before
from sparkrun_tui.recipe.model import Recipe, Runtime
from sparkrun_tui.recipe.registry.checkouts import EUGR
from sparkrun_tui.recipe.values.environment import wanted
from sparkrun_tui.recipe.values.rendered import Rendered

_DETECTORS = (
    (re.compile(r"--trust[-_]remote[-_]code\b"), "runs Python code that comes with the model"),
    (re.compile(r"\b(pip3?|uv)\s+(pip\s+)?install\b"), "installs Python packages"),
    (re.compile(r"\b(apt|apt-get|dnf|apk)\s+(-\w{1,30}\s+){0,8}install\b"), "installs system packages"),
    (re.compile(r"\bgit\s+clone\b"), "fetches code from a git repository"),
)
_FETCHES = re.compile(r"\b(curl|wget)\b")
_AFTER_PIPE = re.compile(r"\|\s+")
_SHELL = re.compile(r"(sudo\s+)?(ba|z|da)?sh\b")
_AWAY = re.compile(r"https?://(?!127\.0\.0\.1|localhost)")


class Kind(StrEnum):
    """What a demand is about."""

    VARIABLE = "variable"
    MOUNT = "mount"
    HOOK = "hook"
    PRIVILEGE = "privilege"
    IMAGE = "image"
    CODE = "code"
    MODS = "mods"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class Demand:
    """One thing a recipe asks for beyond serving; `detail` is shown in full, it never holds a variable's value.

    `grave` marks what gives away secrets or the host itself.
    """

    kind: Kind
    title: str
    detail: str = ""
    grave: bool = False


def demands(
    rendered: Rendered, environ: Mapping[str, str], brought: Brought | None = None, data_dirs: Sequence[str] = ()
) -> tuple[Demand, ...]:
    """What a recipe would do beyond serving, gravest first; `environ` only tells which variables are set.

    `brought` are the files that it brings, as they are now when None; `data_dirs` are the folders of hosts that the
    user's settings let every recipe mount.
    """
    recipe = rendered.recipe
    hooks, bundles = hooks_of(rendered), (brought if brought is not None else bring(rendered)).bundles
    found = [*_variables(recipe, environ), *_privileges(recipe, data_dirs), *_hooks(hooks, bundles), *_image(recipe)]
    text = "\n".join([rendered.command or "", *_hook_texts(hooks, bundles)])
    found += [Demand(Kind.CODE, meaning) for meaning in code_fetched(text)]
    return tuple(sorted(found, key=lambda demand: not demand.grave))


def code_fetched(text: str) -> list[str]:
    """What shell text does about code from elsewhere, in words; it takes time in proportion to the text."""
    found = [meaning for pattern, meaning in _DETECTORS if pattern.search(text)]
    piped, downloads = _fetched(text)
    if piped:
        found.append("downloads a script and runs it")
    if downloads:
        found.append("downloads from the network")
    return found


def _fetched(text: str) -> tuple[bool, bool]:
    """Whether something is fetched into a shell, and whether something is fetched from another machine at all."""
    piped = downloads = False
    # What stands behind a pipe may be on the next line.
    for line in _AFTER_PIPE.sub("|", text).split("\n"):
        fetches = False
        # A pattern over the whole line would look through the rest of it for each `curl` that it holds.
        for part in line.split("|"):
            piped = piped or (fetches and _SHELL.match(part) is not None)
            fetch = _FETCHES.search(part)
            fetches = fetch is not None
            downloads = downloads or (fetch is not None and _AWAY.search(part, fetch.end()) is not None)
    return piped, downloads


def _variables(recipe: Recipe, environ: Mapping[str, str]) -> list[Demand]:
    found = []
    for want in wanted(recipe, environ):
        state = "set" if want.is_set else "not set"
        title = f"reads {want.name} from this machine ({state})"
        detail = f"for {', '.join(want.keys)}"
        found.append(Demand(Kind.VARIABLE, title, detail, not want.allowed and want.is_set))
    return found


def _privileges(recipe: Recipe, data_dirs: Sequence[str]) -> list[Demand]:
    options = container_options(recipe)
    found = [_mount(volume, data_dirs) for volume in options.volumes]
    if options.privileged:
        found.append(Demand(Kind.PRIVILEGE, "runs privileged: the container may do anything on the host", "", True))
    for capability in options.cap_add:
        grave = not harmless_capability(capability)
        found.append(Demand(Kind.PRIVILEGE, f"asks for the capability {capability}", "", grave))
    for device in options.devices:
        grave = not harmless_device(device)
        found.append(Demand(Kind.PRIVILEGE, f"asks for the device {device}", "", grave))
    for key, value in (("network", options.network), ("ipc", options.ipc)):
        if value.startswith("container:"):
            title = f"shares the {key} of another container, {value.removeprefix('container:')}"
            found.append(Demand(Kind.PRIVILEGE, title, "", True))
    return found


def _mount(volume: str, data_dirs: Sequence[str]) -> Demand:
    source = split_volume(volume)[0]
    if is_agreed(source, data_dirs):
        return Demand(Kind.MOUNT, f"mounts {source} of each host, which your data_dirs agree to", volume)
    if not source.startswith(("/", "~")):
        return Demand(Kind.MOUNT, f"mounts the volume {source} of each host", volume, grave_mount(volume))
    detail = f"{volume} (where links on the hosts lead cannot be seen from here)"
    return Demand(Kind.MOUNT, f"mounts {source} of each host", detail, grave_mount(volume))


def _hook_texts(hooks: Hooks, bundles: Mapping[Before, Bundle]) -> tuple[str, ...]:
    before = (entry.command for entry in hooks.before)
    scripts = (bundle.script for bundle in bundles.values())
    return (*before, *hooks.after, *hooks.host_after, *scripts)


def _hooks(hooks: Hooks, bundles: Mapping[Before, Bundle]) -> list[Demand]:
    found = [_before(entry, bundles.get(entry)) for entry in hooks.before]
    rows = (
        (hooks.after, "runs in the head's container when the server answers", False),
        (hooks.host_after, "runs on the head host itself when the server answers", True),
    )
    found += [Demand(Kind.HOOK, title, command, grave) for commands, title, grave in rows for command in commands]
    return found


def _before(entry: Before, bundle: Bundle | None) -> Demand:
    if entry.command:
        return Demand(Kind.HOOK, "runs in every container before the engine", entry.command)
    if not entry.is_mod:
        files = str(bundle) if bundle is not None else "not here"
        return Demand(Kind.FILES, f"copies {entry.source} into every container, to {entry.target}", files)
    if bundle is None:
        title = f"changes the software in the container by the mod {entry.source}"
        return Demand(Kind.MODS, title, f"from {EUGR} on the hosts: not on this machine to be read")
    where = f" of the registry {bundle.registry}" if bundle.registry else ""
    title = f"changes the software in the container by the mod {entry.source}{where}: {bundle}"
    return Demand(Kind.MODS, title, bundle.script)


def _image(recipe: Recipe) -> list[Demand]:
    image = parse_image(recipe.container)
    if built_by_eugr(recipe):
        return _by_eugr(recipe)
    if image is None or image.pinned:
        return []
    how = "names no fixed version" if image.moving else "is named by a tag, which its author can move"
    return [Demand(Kind.IMAGE, f"the image {how}", visible_line(recipe.container))]


def _by_eugr(recipe: Recipe) -> list[Demand]:
    """What it means that the scripts of eugr/spark-vllm-docker build the image, or launch the recipe."""
    found = []
    if recipe.runtime == Runtime.EUGR_VLLM:
        title = "runs privileged, as eugr's scripts start every container: it may do anything on the hosts"
        found.append(Demand(Kind.PRIVILEGE, title, visible_line(recipe.container), True))
    given = recipe.runtime_config.get("build_args") or []
    listed = given if isinstance(given, list) else [given]
    arguments = [visible_line(str(item)) for item in listed]
    title = "runs the scripts of eugr/spark-vllm-docker on the head host"
    if not arguments:
        return [*found, Demand(Kind.CODE, title, "", True)]
    # They choose what is built, from which repository, and the hosts that the image is sent to.
    return [*found, Demand(Kind.CODE, f"{title}, with arguments of its own", "\n".join(arguments), True)]


_ALWAYS_ASKED = frozenset({Kind.HOOK, Kind.MODS, Kind.FILES})


def beyond_serving(found: Iterable[Demand]) -> bool:
    """Whether any of the demands is more than its image and its command: what is grave, hooks, mods, copied files."""
    return any(demand.grave or demand.kind in _ALWAYS_ASKED for demand in found)


def needs_consent(recipe: Recipe, files: frozenset[str] = frozenset()) -> bool:
    """Whether the first launch of this recipe, as its file now is, may have to ask: it may be somebody else's.

    `files` are the digests of what it brings into its containers (`Brought.digests`): they are agreed to as well.
    """
    if not recipe.source.foreign:
        return False
    entry = _read().get(recipe.digest)
    return entry is None or not files <= _texts(entry.get("files"))


def changed_since_consent(recipe: Recipe, files: frozenset[str] = frozenset()) -> bool:
    """Whether an earlier state of this recipe was agreed to, so that the question can say that it has changed."""
    place = _place(recipe)
    return needs_consent(recipe, files) and any(entry.get("place") == place for entry in _read().values())


def demand_shown(demand: Demand, redact: Redactor) -> Demand:
    """A demand whose words hold no secret."""
    return replace(demand, title=redact(demand.title), detail=redact(demand.detail))


def consented_variables(recipe: Recipe) -> frozenset[str] | None:
    """The variables that the user agreed to for this recipe; None when it is the user's own and may read any."""
    if not recipe.source.foreign:
        return None
    return _texts(_read().get(recipe.digest, {}).get("variables"))


def _texts(data: object) -> frozenset[str]:
    return frozenset(map(str, data)) if isinstance(data, list) else frozenset()


def give_consent(recipe: Recipe, variables: frozenset[str] | None = None, files: frozenset[str] = frozenset()) -> None:
    """Remember that the user agreed to this state of the recipe, to the `variables` (all it wants when None) and
    to the `files` that it brings.
    """
    names = variables if variables is not None else {want.name for want in wanted(recipe, {})}
    entry: dict[str, Any] = {"place": _place(recipe), "time": round(time.time()), "variables": sorted(names)}
    if files:
        entry["files"] = sorted(files)
    update_private(_file(), lambda text: json.dumps(_entries(text) | {recipe.digest: entry}, indent=1))


def _place(recipe: Recipe) -> str:
    if recipe.source.stranger:
        return f"file:{os.path.abspath(recipe.source.path)}"
    # The cache folder changes with each update; registry and path in it stay.
    return f"{recipe.source.registry}/{recipe.source.below or os.path.basename(recipe.source.path)}"


def _file() -> Path:
    return paths.state_dir() / "trusted.json"


def _read() -> dict[str, dict[str, Any]]:
    try:
        return _entries(read_text(_file()))
    except (OSError, UnicodeDecodeError):
        # What cannot be read was not agreed to.
        return {}


def _entries(text: str) -> dict[str, dict[str, Any]]:
    """What a file of agreements says; a damaged one says nothing."""
    try:
        data = parse_json(text)
    except (ValueError, RecursionError):
        return {}
    entries = data.items() if isinstance(data, dict) else ()
    return {str(digest): entry for digest, entry in entries if isinstance(entry, dict)}
