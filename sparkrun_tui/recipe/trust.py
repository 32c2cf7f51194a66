"""What a recipe would do beyond serving, and the user's consent to recipes of others."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import read_text, update_private
from sparkrun_tui.base.reading.json_text import parse_json
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.text import visible_line, visible_text
from sparkrun_tui.recipe.bundled_files.attachments import Attachments, Bundle, find_attachments
from sparkrun_tui.recipe.format.extensions import built_by_eugr
from sparkrun_tui.recipe.format.hooks import PEER_LABELS, Hooks, container_options, hooks_of, model_on_hosts, time_text
from sparkrun_tui.recipe.format.pre_exec import MAX_ENTRIES, Before
from sparkrun_tui.recipe.model import Layer, Recipe, Runtime, SourceKind
from sparkrun_tui.recipe.names.images import images_of, parse_image
from sparkrun_tui.recipe.names.mounts import (
    harmless_capability,
    harmless_device,
    harmless_security,
    is_agreed,
    is_risky_mount,
    split_volume,
)
from sparkrun_tui.recipe.registry.checkouts import EUGR
from sparkrun_tui.recipe.values.conditional import with_layers
from sparkrun_tui.recipe.values.environment import wanted
from sparkrun_tui.recipe.values.launch_keys import RESTART
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered, value_text
from sparkrun_tui.recipe.values.template import keys_in

_DETECTORS = (
    (late_regex(r"--trust[-_]remote[-_]code\b"), "runs Python code that comes with the model"),
    (late_regex(r"\b(pip3?|uv)\s+(pip\s+)?install\b"), "installs Python packages"),
    (late_regex(r"\b(apt|apt-get|dnf|apk)\s+(-\w{1,30}\s+){0,8}install\b"), "installs system packages"),
    (late_regex(r"\bgit\s+clone\b"), "fetches code from a git repository"),
)
_FETCHES = late_regex(r"\b(curl|wget)\b")
_AFTER_PIPE = late_regex(r"\|\s+")
_SHELL = late_regex(r"(sudo\s+)?(ba|z|da)?sh\b")
_AWAY = late_regex(r"https?://(?!127\.0\.0\.1|localhost)")


class Kind(StrEnum):
    """The subject of a demand."""

    VARIABLE = "variable"
    MOUNT = "mount"
    HOOK = "hook"
    PRIVILEGE = "privilege"
    OTHERS = "others"
    """What other programs of a host act on: they find containers by labels, and Docker restarts by itself."""
    IMAGE = "image"
    CODE = "code"
    MODS = "mods"
    FILES = "files"
    CONDITION = "condition"


_BY_CONTENT = frozenset({Kind.FILES, Kind.MODS})
_WITHOUT = "without what you have set here"
"""Words behind a demand that a recipe makes by its own values only."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One thing a recipe asks for beyond serving; `detail` is shown in full and never contains a variable's value.

    `is_risky` marks serious demands, which expose secrets or the host itself.
    """

    kind: Kind
    title: str
    detail: str = ""
    is_risky: bool = False


def demands(
    rendered: Rendered,
    environ: Mapping[str, str],
    attachments: Attachments | None = None,
    data_dirs: Sequence[str] = (),
) -> tuple[Demand, ...]:
    """What a recipe would do beyond serving, serious demands first; `environ` only shows which variables are set.

    `attachments` are the files that it copies, None for their current state; `data_dirs` are the folders of hosts that
    the user's settings allow every recipe to mount.
    """
    if attachments is None:
        attachments = find_attachments(rendered)
    found = _demands(rendered, environ, attachments.bundles, data_dirs)
    if rendered.overrides or rendered.user_defaults:
        # Consent counts for later launches as well, and those may be without what the user has set for this one.
        known = set(found)
        for demand in _demands(render(rendered.original, {}), environ, {}, data_dirs):
            # Consent to files is asked for by what they hold.
            if demand not in known and demand.kind not in _BY_CONTENT:
                found.append(replace(demand, title=f"{demand.title}, {_WITHOUT}"))
    return tuple(sorted(found, key=lambda demand: not demand.is_risky))


def _demands(
    rendered: Rendered, environ: Mapping[str, str], bundles: Mapping[Before, Bundle], data_dirs: Sequence[str]
) -> list[Demand]:
    """What a recipe would do with these values, in the order of its keys."""
    recipe = rendered.recipe
    hooks = hooks_of(rendered)
    found = [*_variables(recipe, environ), *_privileges(rendered, data_dirs), *_hooks(hooks, bundles), *_image(recipe)]
    found += _layers(recipe.original)
    found += _under_conditions(rendered, found, data_dirs)
    values = [demand.detail for demand in found if demand.kind is Kind.CONDITION]
    text = "\n".join([rendered.command or "", *_hook_texts(hooks, bundles), *values])
    found += [Demand(Kind.CODE, meaning) for meaning in code_fetched(text)]
    return found


def demands_of_files(attachments: Attachments) -> tuple[Demand, ...]:
    """What some copied files and mods do in the containers, with the texts of their scripts."""
    found = [_before(entry, bundle) for entry, bundle in attachments.bundles.items()]
    text = "\n".join(bundle.script for bundle in attachments.bundles.values())
    return (*found, *(Demand(Kind.CODE, meaning) for meaning in code_fetched(text)))


def code_fetched(text: str) -> list[str]:
    """What shell text does with code from elsewhere, in words; the time grows in proportion to the text."""
    found = [meaning for pattern, meaning in _DETECTORS if pattern.search(text)]
    piped, downloads = _fetched(text)
    if piped:
        found.append("downloads a script and runs it")
    if downloads:
        found.append("downloads from the network")
    return found


def _fetched(text: str) -> tuple[bool, bool]:
    """Whether something is fetched into a shell, and whether anything is fetched from another machine."""
    piped = downloads = False
    # The text behind a pipe may be on the next line.
    for line in _AFTER_PIPE.sub("|", text).split("\n"):
        fetches = False
        # A pattern over the whole line would search the rest of it for each `curl`.
        for part in line.split("|"):
            if fetches and _SHELL.match(part):
                piped = True
            fetch = _FETCHES.search(part)
            fetches = fetch is not None
            if fetch is not None and _AWAY.search(part, fetch.end()):
                downloads = True
    return piped, downloads


def _variables(recipe: Recipe, environ: Mapping[str, str]) -> list[Demand]:
    found = []
    for want in wanted(recipe, environ):
        state = "set" if want.is_set else "not set"
        title = f"reads {want.name} from this machine ({state})"
        detail = f"for {', '.join(want.keys)}"
        found.append(Demand(Kind.VARIABLE, title, detail, not want.allowed and want.is_set))
    return found


def _privileges(rendered: Rendered, data_dirs: Sequence[str]) -> list[Demand]:
    recipe = rendered.recipe
    options = container_options(recipe)
    model = model_on_hosts(recipe)
    of_model = model.volumes if model is not None else ()
    found = [_mount(volume, data_dirs) for volume in (*of_model, *options.volumes)]
    if options.privileged:
        found.append(Demand(Kind.PRIVILEGE, "runs privileged: the container may do anything on the host", "", True))
    for capability in options.cap_add:
        is_risky = not harmless_capability(capability)
        found.append(Demand(Kind.PRIVILEGE, f"asks for the capability {capability}", "", is_risky))
    for device in options.devices:
        is_risky = not harmless_device(device)
        found.append(Demand(Kind.PRIVILEGE, f"asks for the device {device}", "", is_risky))
    for option in options.security_opt:
        is_risky = not harmless_security(option)
        found.append(Demand(Kind.PRIVILEGE, f"changes how Docker protects the host: {option}", "", is_risky))
    for label in options.labels:
        name = label.partition("=")[0]
        is_risky = PEER_LABELS.match(name) is not None
        title = f"labels its container {name}"
        if is_risky:
            title += ", by which another program would take it for its own"
        found.append(Demand(Kind.OTHERS, title, label, is_risky))
    is_users_own = RESTART in rendered.overrides
    if options.restart_policy and not is_users_own:
        title = f"lets Docker restart its container ({options.restart_policy}), also after a restart of the host"
        found.append(Demand(Kind.OTHERS, title))
    for key, value in (("network", options.network), ("ipc", options.ipc)):
        if value.startswith("container:"):
            title = f"shares the {key} of another container: {value.removeprefix('container:')}"
            found.append(Demand(Kind.PRIVILEGE, title, "", True))
    return found


def _mount(volume: str, data_dirs: Sequence[str]) -> Demand:
    source = split_volume(volume)[0]
    if is_agreed(source, data_dirs):
        return Demand(Kind.MOUNT, f"mounts {source} of each host, which your data_dirs allow", volume)
    if not source.startswith(("/", "~")):
        return Demand(Kind.MOUNT, f"mounts the volume {source} of each host", volume, is_risky_mount(volume))
    detail = f"{volume} (where links on the hosts lead cannot be seen from here)"
    return Demand(Kind.MOUNT, f"mounts {source} of each host", detail, is_risky_mount(volume))


def _hook_texts(hooks: Hooks, bundles: Mapping[Before, Bundle]) -> tuple[str, ...]:
    before = (entry.command for entry in hooks.before)
    after = (timed.command for timed in (*hooks.after, *hooks.host_after))
    scripts = (bundle.script for bundle in bundles.values())
    return (*before, *after, *scripts)


def _hooks(hooks: Hooks, bundles: Mapping[Before, Bundle]) -> list[Demand]:
    found = [_before(entry, bundles.get(entry)) for entry in hooks.before]
    for timed in hooks.after:
        title = f"runs in the head's container when the server answers{time_text(timed.timeout)}"
        found.append(Demand(Kind.HOOK, title, timed.command))
    for timed in hooks.host_after:
        title = f"runs on the head node itself when the server answers{time_text(timed.timeout)}"
        found.append(Demand(Kind.HOOK, title, timed.command, True))
    return found


def _layers(recipe: Recipe) -> list[Demand]:
    """What each entry of `overrides` would set: consent counts for all launches, also those where it holds."""
    found = []
    for layer in recipe.layers:
        lines = [f"{key}: {value.text}" for key, value in layer.defaults.items()]
        lines += [f"env {key}: {value.text}" for key, value in layer.env.items()]
        if layer.container:
            lines.append(f"container: {layer.container}")
        title = f"uses other values where a condition holds: {visible_line(layer.when_text)}"
        found.append(Demand(Kind.CONDITION, title, "\n".join(visible_line(line) for line in lines)))
    return found


def _under_conditions(rendered: Rendered, shown: Sequence[Demand], data_dirs: Sequence[str]) -> list[Demand]:
    """What is asked for only where entries of `overrides` hold: each entry alone, all of them, any of them together.

    Consent counts for later launches as well, and others may hold in those.
    """
    original = rendered.original
    if not original.layers:
        return []
    written = _written_with_values(original)
    values = _Values(rendered)
    reached = {text: values.reached(text) for _, text in written}
    keys = frozenset[str]().union(*reached.values())
    layers = [layer for layer in original.layers if not keys.isdisjoint(layer.defaults)]
    cases: list[tuple[str, list[Layer]]] = []
    if len(layers) <= _MOST_CASES:
        cases += [(visible_line(layer.when_text), [layer]) for layer in layers]
    if 1 < len(layers) <= _MOST_CASES:
        cases.append(("all of these conditions", layers))
    for layer in original.layers:
        if layer.container and built_by_eugr(replace(original, container=layer.container)):
            # With any such image the same scripts run.
            cases.append((visible_line(layer.when_text), [layer]))
            break
    found: list[Demand] = []
    known = {(demand.title, demand.detail) for demand in shown}
    for condition, holding in cases:
        for demand in _of_case(with_layers(rendered, holding, values_alone=True), data_dirs):
            if (demand.title, demand.detail) in known:
                continue
            known.add((demand.title, demand.detail))
            found.append(replace(demand, title=f"{demand.title}, under {condition}"))
    if len(layers) > _MOST_TOGETHER:
        # Any of them may hold together: these are more cases than a person reads.
        conditional = {key for layer in layers for key in layer.defaults}
        enough = 2 if len(layers) <= _MOST_CASES else 1
        for key, text in written:
            if len(reached[text] & conditional) >= enough:
                title = f"puts `{key}` together from the values that several conditions set, as it is written here"
                found.append(Demand(Kind.HOOK, title, visible_text(text), key in _ON_HOSTS))
    return found


_ON_HOSTS = ("model", "post_commands")
"""The keys whose texts a host itself acts on: a path of it is mounted, a command run."""
_MOST_CASES = 8
"""The most entries of `overrides` whose effects are worked out one by one."""
_MOST_TOGETHER = 2
"""The most entries of which each set that may hold is worked out: each alone, and both."""


def _of_case(rendered: Rendered, data_dirs: Sequence[str]) -> Iterator[Demand]:
    """What goes beyond serving in one case of conditions, without the variables, which are named for all cases."""
    recipe = rendered.recipe
    for demand in (*_privileges(rendered, data_dirs), *_hooks(hooks_of(rendered), {}), *_image(recipe)):
        # Consent to files is asked for by what they hold.
        if demand.kind not in _BY_CONTENT and (demand.is_risky or demand.kind in _ALWAYS_ASKED):
            yield demand


def _written_with_values(recipe: Recipe) -> list[tuple[str, str]]:
    """The texts of a recipe beside its command that its values go into, with their keys, as they are written."""
    found = [("model", recipe.model)]
    for key in ("pre_exec", "post_exec", "post_commands"):
        data = recipe.runtime_config.get(key)
        entries = data if isinstance(data, list) else [data]
        for entry in entries[:MAX_ENTRIES]:
            parts = list(entry.values()) if isinstance(entry, Mapping) else [entry]
            found += [(key, part) for part in parts if isinstance(part, str)]
    return [(key, text) for key, text in found if "{" in text]


class _Values:
    """Which keys the texts of a recipe may refer to, also through other keys, in any case of its conditions."""

    def __init__(self, rendered: Rendered) -> None:
        recipe = rendered.original
        self._references: dict[str, set[str]] = {}
        self._add("model", recipe.model)
        for key, link in rendered.chain.items():
            self._add(key, value_text(link.value))
        for values in (recipe.defaults, *(layer.defaults for layer in recipe.layers)):
            for key, value in values.items():
                self._add(key, value_text(value))

    def _add(self, key: str, text: str) -> None:
        self._references.setdefault(key, set()).update(keys_in(text))

    def reached(self, text: str) -> frozenset[str]:
        """The keys of the values that are a part of a text."""
        found: set[str] = set()
        waiting = keys_in(text)
        while waiting:
            found |= waiting
            inner: set[str] = set()
            for key in waiting:
                inner |= self._references.get(key, set())
            waiting = inner - found
        return frozenset(found)


def _before(entry: Before, bundle: Bundle | None) -> Demand:
    if entry.command:
        title = f"runs in every container before the engine{time_text(entry.timeout)}"
        return Demand(Kind.HOOK, title, entry.command)
    if not entry.is_mod:
        files = str(bundle) if bundle is not None else "not on this machine"
        return Demand(Kind.FILES, f"copies {entry.source} into every container, to {entry.target}", files)
    if bundle is None:
        title = f"changes the software in the container by the mod {entry.source}"
        return Demand(Kind.MODS, title, f"from {EUGR} on the hosts: it is not on this machine and cannot be shown")
    where = f" of the registry {bundle.registry}" if bundle.registry else ""
    title = f"changes the software in the container by the mod {entry.source}{where}: {bundle}"
    return Demand(Kind.MODS, title, bundle.script)


def _image(recipe: Recipe) -> list[Demand]:
    if built_by_eugr(recipe):
        return _by_eugr(recipe)
    found = []
    for name in images_of(recipe):
        image = parse_image(name)
        if image is None or image.pinned:
            continue
        how = "names no fixed version" if image.moving else "is named by a tag, which its author can move"
        found.append(Demand(Kind.IMAGE, f"the image {how}", visible_line(name)))
    return found


def _by_eugr(recipe: Recipe) -> list[Demand]:
    """The demands when the scripts of eugr/spark-vllm-docker build the image, or launch the recipe."""
    found = []
    if recipe.runtime == Runtime.EUGR_VLLM:
        title = "runs privileged, as eugr's scripts start every container: it may do anything on the hosts"
        found.append(Demand(Kind.PRIVILEGE, title, visible_line(recipe.container), True))
    given = recipe.runtime_config.get("build_args") or []
    listed = given if isinstance(given, list) else [given]
    arguments = [visible_line(str(item)) for item in listed]
    title = "runs the scripts of eugr/spark-vllm-docker on the head node"
    if not arguments:
        return [*found, Demand(Kind.CODE, title, "", True)]
    # The arguments choose what is built, from which repository, and the hosts that get the image.
    return [*found, Demand(Kind.CODE, f"{title}, with arguments of its own", "\n".join(arguments), True)]


_ALWAYS_ASKED = frozenset({Kind.HOOK, Kind.MODS, Kind.FILES, Kind.OTHERS})


def beyond_serving(found: Iterable[Demand]) -> bool:
    """Whether any demand goes beyond image and command: serious ones, hooks, mods, copied files, labels."""
    return any(demand.is_risky or demand.kind in _ALWAYS_ASKED for demand in found)


def needs_consent(recipe: Recipe, files: frozenset[str] = frozenset()) -> bool:
    """Whether this state of the recipe may be another person's and has no consent yet.

    `files` are the digests of what it copies into its containers (`Attachments.digests`): they need consent as well.
    """
    if not recipe.source.foreign:
        return False
    entry = _read().get(recipe.digest)
    return entry is None or not files <= _texts(entry.get("files"))


def unseen_files(files: frozenset[str]) -> frozenset[str]:
    """The digests of files that no recipe has had consent for."""
    seen: set[str] = set()
    for entry in _read().values():
        seen |= _texts(entry.get("files"))
    return files - seen


def had_consent(recipe: Recipe) -> bool:
    """Whether any state of this recipe has consent."""
    place = _place(recipe)
    return any(entry.get("place") == place for entry in _read().values())


def changed_since_consent(recipe: Recipe, files: frozenset[str] = frozenset()) -> bool:
    """Whether an earlier state of this recipe has consent, so that the question can say that it has changed."""
    if not needs_consent(recipe, files):
        return False
    return had_consent(recipe)


def demand_shown(demand: Demand, redact: Redactor) -> Demand:
    """A demand without secrets in its texts."""
    return replace(demand, title=redact(demand.title), detail=redact(demand.detail))


def consented_variables(recipe: Recipe) -> frozenset[str] | None:
    """The variables that the user agreed to for this recipe; None when it is the user's own and may read any."""
    if not recipe.source.foreign:
        return None
    return _texts(_read().get(recipe.digest, {}).get("variables"))


def _texts(data: object) -> frozenset[str]:
    return frozenset(map(str, data)) if isinstance(data, list) else frozenset()


def give_consent(recipe: Recipe, variables: frozenset[str] | None = None, files: frozenset[str] = frozenset()) -> None:
    """Remember that the user agreed to this state of the recipe.

    `variables` are the ones it may read (None: all it wants), `files` the digests of what it copies.
    """
    names = variables
    if names is None:
        names = frozenset(want.name for want in wanted(recipe, {}))
    entry: dict[str, Any] = {"place": _place(recipe), "time": round(time.time()), "variables": sorted(names)}
    if files:
        entry["files"] = sorted(files)
    update_private(_file(), lambda text: json.dumps(_entries(text) | {recipe.digest: entry}, indent=1))


def _place(recipe: Recipe) -> str:
    if recipe.source.kind is SourceKind.URL:
        return recipe.source.address
    if recipe.source.kind is not SourceKind.REGISTRY:
        return f"file:{os.path.abspath(recipe.source.path)}"
    # The cache folder changes with each update; the registry and the path below it stay.
    return f"{recipe.source.registry}/{recipe.source.below or os.path.basename(recipe.source.path)}"


def _file() -> Path:
    return paths.state_dir() / "trusted.json"


def _read() -> dict[str, dict[str, Any]]:
    try:
        return _entries(read_text(_file()))
    except (OSError, UnicodeDecodeError):
        # Without a readable file there is no consent.
        return {}


def _entries(text: str) -> dict[str, dict[str, Any]]:
    """The entries of a file of consents; a damaged one has none."""
    try:
        data = parse_json(text)
    except (ValueError, RecursionError):
        return {}
    found: dict[str, dict[str, Any]] = {}
    if not isinstance(data, dict):
        return found
    for digest, entry in data.items():
        if isinstance(entry, dict):
            found[str(digest)] = entry
    return found
