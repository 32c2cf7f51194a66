"""Exports overrides: as a new recipe file that keeps the author's comments and order, or as a command line.

The file is edited at its values rather than parsed and written again: what is not changed stays byte for byte. The
result is read back and compared before it is returned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sparkrun_tui.base import shell
from sparkrun_tui.base.disk import files
from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.recipe.bundled_files.attachments import scoped_mods
from sparkrun_tui.recipe.format.include import flattened
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.format.spots import beginning
from sparkrun_tui.recipe.format.yamltree import Node, compact_json, key_text, parse_tree, resolve
from sparkrun_tui.recipe.model import Recipe, Value
from sparkrun_tui.recipe.search.entry import reference
from sparkrun_tui.recipe.values import launch_keys
from sparkrun_tui.recipe.values.launch_keys import FlagsError, Kind
from sparkrun_tui.recipe.values.masking import (
    flags_without_secrets,
    is_private,
    override_words,
    private_flags,
    reference_to,
    secrets_of_recipe,
    variable_of,
)
from sparkrun_tui.recipe.values.overrides import build_chain, changed, parse_value, render
from sparkrun_tui.recipe.values.rendered import value_text

_PLAIN = late_regex(r"[A-Za-z0-9_./~+-]([A-Za-z0-9_./+@:=-]*[A-Za-z0-9_./+@=-])?")
_PROPERTIES = late_regex(r"(?:[&!]\S+[ \t]+)*")


def command_line(recipe: Recipe, overrides: Mapping[str, str], program: str = "sparkrun-tui") -> str:
    """The command that launches the recipe with these overrides, ready to paste into a shell.

    It contains no secret: the value is taken from a variable (`-o api_key="$API_KEY"`).
    """
    words = [
        shell.words([program, "run", shell.operand(reference(recipe))]),
        override_words(changed(recipe, overrides)),
    ]
    return shell.joined([part for part in words if part], " ")


def exported(recipe: Recipe, overrides: Mapping[str, str]) -> str:
    """The text of a recipe file whose defaults are the recipe's with `overrides` applied.

    Overrides that are secrets are not written: they become variables, see `left_as_variables`.
    Raises `RecipeError` when the form of the file does not allow the change (anchors that other values refer to).
    """
    recipe = recipe.original
    env = {}
    for key, (name, variable) in _variables(recipe, overrides).items():
        reference = f"${{{name}}}"
        if launch_keys.kind_of(recipe, key) is Kind.ENV:
            reference = f"${{{variable}}}"
        overrides = {**overrides, key: reference}
        env[name] = Value(f"${{{variable}}}", f"${{{variable}}}")
    overrides, of_flags = _flags_with_variables(recipe, overrides)
    env |= of_flags
    wanted = changed(recipe, overrides)
    found = launch_keys.divided(recipe, wanted)
    changes = {key: _typed(recipe, key, text) for key, text in found.values.items()}
    chain = build_chain(recipe, overrides)
    for key in found.parts:
        root = launch_keys.root_of(key)
        changes[root] = chain[root].value
    for name, value in found.env.items():
        env[name] = Value(value, value)
    whole = recipe.text
    if recipe.included:
        # The new file may be in another folder.
        whole = flattened(recipe)
    text = whole.removeprefix("\ufeff")
    mark = whole.removesuffix(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    text = _with_scopes(recipe, text)
    model = None
    if "model" not in recipe.defaults:
        model = changes.pop("model", None)
    if changes:
        text = _edit_layers(text, recipe.source.path, changes)
        text = _edit(text, recipe.source.path, "defaults", changes, newline)
    if model is not None:
        text = _edit(text, recipe.source.path, "", {"model": model}, newline)
    if found.image:
        text = _edit(text, recipe.source.path, "", {"container": Value(found.image, found.image)}, newline)
    if found.restart:
        if "runtime_config.executor_config" in recipe.spots:
            raise RecipeError(
                f"`{launch_keys.RESTART}` cannot be written: `executor_config` is inside `runtime_config`",
                spot=recipe.place_of("executor_config"),
                remedy="move `executor_config` to the top of the recipe",
            )
        policy = {launch_keys.RESTART: Value(found.restart, found.restart)}
        text = _edit(text, recipe.source.path, "executor_config", policy, newline)
    if env:
        text = _edit(text, recipe.source.path, "env", env, newline)
    if found.flags:
        text = _with_flags(recipe, text, found.flags, newline)
    _compare(recipe, overrides, mark + text, frozenset(env))
    return mark + text


def _variables(recipe: Recipe, overrides: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """For each override that is a secret: the container's variable, and the workstation's variable that fills it."""
    found = {}
    for key, text in changed(recipe, overrides).items():
        if not is_private(key, _typed(recipe, key, text)):
            continue
        name, variable = reference_to(key)[0], variable_of(key)
        if launch_keys.kind_of(recipe, key) is Kind.ENV:
            # The engine reads the variable under its own name.
            name = variable = key.removeprefix(launch_keys.ENV)
        found[key] = (name, variable)
    return found


def _flags_with_variables(recipe: Recipe, overrides: Mapping[str, str]) -> tuple[Mapping[str, str], dict[str, Value]]:
    """The overrides with the secrets in the extra flags as variables, and the variables for `env`."""
    env: dict[str, Value] = {}
    flags = launch_keys.divided(recipe, overrides).flags

    def reference(flag: str, value: str) -> str:
        name, text = reference_to(flag)
        env[name] = Value(f"${{{variable_of(flag)}}}", f"${{{variable_of(flag)}}}")
        return text

    hidden = flags_without_secrets(flags, reference)
    if not env:
        return overrides, env
    return {**overrides, launch_keys.FLAGS: hidden}, env


def left_as_variables(recipe: Recipe, overrides: Mapping[str, str]) -> dict[str, str]:
    """The overrides that `exported` does not write, since they are secrets: key to the variable to be set instead."""
    found = {key: variable for key, (_, variable) in _variables(recipe, overrides).items()}
    for name in private_flags(launch_keys.divided(recipe, overrides).flags):
        found[f"--{name}"] = variable_of(name)
    return found


def keeps_secrets(recipe: Recipe, text: str) -> bool:
    """Whether the text of a recipe made from this one still contains a secret, such as one that its author wrote."""
    try:
        again = load_text(text, recipe.source)
    except RecipeError:
        # A text that cannot be read may contain one.
        return True
    return bool(secrets_of_recipe(again)) or Redactor()(text) != text


def _with_scopes(recipe: Recipe, text: str) -> str:
    """`text` with the mods of the recipe's own registry named so that a file in another place finds them."""
    scoped = scoped_mods(render(recipe, {}))
    if not scoped:
        return text
    root = parse_tree(text, recipe.source.path)
    holder = _child(root, "mods") or _child(_child(root, "runtime_config"), "mods")
    if holder is None:
        return text
    for item in reversed(holder.items):
        name = scoped.get(item.text.strip().rstrip("/").removeprefix("./"))
        if name is not None and item.kind == "scalar":
            text = text[: item.start] + json.dumps(name) + text[_real_end(item, text) :]
    return text


def write_new_recipe(path: Path, text: str, *, overwrite: bool = False, private: bool = False) -> None:
    """Write a recipe file, `private` only for its owner. Raises `RecipeError` when it exists, or cannot be written."""
    mode = 0o600 if private else 0o666
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        if overwrite:
            files.overwrite(path, files.encoded(text), mode)
        else:
            files.write_new(path, files.encoded(text), mode)
    except FileExistsError as error:
        raise RecipeError(f"{path} exists already", remedy="choose another name") from error
    except OSError as error:
        raise RecipeError(f"{path} cannot be written: {error.strerror or error}") from error


def _typed(recipe: Recipe, key: str, text: str) -> Value:
    if launch_keys.kind_of(recipe, key) is not Kind.VALUE:
        return Value(text, text)
    link = build_chain(recipe, {}).get(key)
    if link is None:
        return parse_value(text)
    return parse_value(text, link.value)


def yaml_scalar(value: Value) -> str:
    """A value as YAML that reads back the same: plain where that is safe, else in double quotes, or as JSON."""
    data = value.data
    if isinstance(data, (list, dict)):
        return compact_json(data)
    if not isinstance(data, str):
        if value.text and resolve(value.text) != "str":
            return value.text
        return json.dumps(data)
    if _PLAIN.fullmatch(data) and resolve(data) == "str" and not data.startswith(("-", "~")):
        return data
    return json.dumps(data, ensure_ascii=not data.isprintable())


def _edit(text: str, path: str, section: str, changes: Mapping[str, Value], newline: str) -> str:
    """`text` with keys of a section (or of the top level) set; new keys follow the last one."""
    root = parse_tree(text, path)
    holder = _child(root, section) if section else root
    edits: list[tuple[int, int, str]] = []
    new: dict[str, Value] = {}
    for key, value in changes.items():
        node = _child(holder, key)
        if node is None:
            new[key] = value
            continue
        edits.append(_replacement(text, node, value))
    if new:
        edits.append(_addition(text, root, holder, section, new, newline))
    for start, end, piece in sorted(edits, reverse=True):
        text = text[:start] + piece + text[end:]
    return text


def _edit_layers(text: str, path: str, changes: Mapping[str, Value]) -> str:
    """`text` with the same values in every entry of `overrides` that would set another one."""
    holder = _child(parse_tree(text, path), "overrides")
    edits: list[tuple[int, int, str]] = []
    for item in holder.items if holder is not None else ():
        defaults = _child(item, "defaults")
        for key, value in changes.items():
            node = _child(defaults, key)
            if node is not None:
                edits.append(_replacement(text, node, value))
    for start, end, piece in sorted(edits, reverse=True):
        text = text[:start] + piece + text[end:]
    return text


def _replacement(text: str, node: Node, value: Value) -> tuple[int, int, str]:
    """The edit that puts a value in the place of a node: start, end and text."""
    start = node.start + len(_PROPERTIES.match(text, node.start)[0])  # type: ignore[index]
    piece = yaml_scalar(value)
    if text[start - 1 : start] not in (" ", "\t", ""):
        piece = f" {piece}"
    return start, _real_end(node, text), piece


def _with_flags(recipe: Recipe, text: str, flags: str, newline: str) -> str:
    """`text` with flags added to its command. Raises `RecipeError`."""
    node = _child(parse_tree(text, recipe.source.path), "command")
    if node is None or recipe.command is None:
        raise RecipeError(
            "the extra flags cannot be written: the recipe has no command",
            remedy="write them as keys of `defaults`, or copy the command line instead",
        )
    try:
        words = launch_keys.flag_words(flags)
        if recipe.version == "1":
            words = tuple(word.replace("{", "{{").replace("}", "}}") for word in words)
        command = launch_keys.with_flags(recipe.command, words)
    except FlagsError as error:
        raise RecipeError(str(error), spot=recipe.command_spot) from error
    end = _real_end(node, text)
    if node.style not in ("|", ">"):
        return text[: node.start] + json.dumps(command, ensure_ascii=False) + text[end:]
    header, _, body = text[node.start : end].partition("\n")
    first = next((line for line in body.split("\n") if line.strip()), "  ")
    indent = first[: len(first) - len(first.lstrip(" "))]
    rows = []
    for line in command.rstrip("\n").split("\n"):
        rows.append(f"{indent}{line}" if line.strip() else line)
    lines = newline.join([f"|{header[1:]}".rstrip("\r"), *rows])
    return text[: node.start] + lines + text[end:]


def _child(node: Node | None, key: str) -> Node | None:
    if node is None or node.kind != "map":
        return None
    for name, value in reversed(node.pairs):
        if name.tag != "merge" and key_text(name) == key:
            return value
    return None


def _real_end(node: Node, text: str) -> int:
    """The end of a node's own text: block nodes end before the comments and blank lines that follow them."""
    if node.kind == "scalar" and node.style not in ("|", ">"):
        return node.end
    if node.style == "flow" or text[node.start : node.start + 1] == "*":
        return node.end
    if node.kind == "scalar":
        return node.start + len(text[node.start : node.end].rstrip())
    if node.pairs:
        return _real_end(node.pairs[-1][1], text)
    if node.items:
        return _real_end(node.items[-1], text)
    return node.end


def _addition(
    text: str, root: Node, holder: Node | None, section: str, new: Mapping[str, Value], newline: str
) -> tuple[int, int, str]:
    """The edit that adds new keys to a section: start, end and text. `holder` is the section's node, if it exists."""
    pairs = []
    for key, value in new.items():
        pairs.append(f"{yaml_scalar(Value(key, key))}: {yaml_scalar(value)}")
    if holder is None:
        return _new_section(text, root, section, pairs, newline)
    if holder.kind == "map" and holder.style == "flow":
        return _into_flow(text, holder, pairs)
    if holder is root:
        at = _before(text, root.pairs[0][0])
        return at, at, "".join(f"{pair}{newline}" for pair in pairs)
    if holder.kind == "map" and holder.pairs:
        indent = " " * (holder.pairs[0][0].column - 1)
        at = _real_end(holder.pairs[-1][1], text)
        # A comment behind the last value stays behind it.
        at = _line_end(text, at)
        return at, at, "".join(f"{newline}{indent}{pair}" for pair in pairs)
    name = next(name for name, value in root.pairs if value is holder)
    at = text.index(":", name.end) + 1
    stop = holder.end if holder.text else at
    return at, stop, "".join(f"{newline}  {pair}" for pair in pairs)


def _new_section(text: str, root: Node, section: str, pairs: Sequence[str], newline: str) -> tuple[int, int, str]:
    """The edit that adds a section, before the command if there is one."""
    if root.style == "flow":
        return _into_flow(text, root, [f"{json.dumps(section)}: {{{', '.join(pairs)}}}"])
    # Lines that follow the last line of a block text may become part of it.
    at = len(text)
    for key, _ in root.pairs:
        if key_text(key) == "command":
            at = _before(text, key)
            break
    lines = [f"{section}:{newline}"]
    if at > 0 and text[at - 1] != "\n":
        lines.insert(0, newline)
    for pair in pairs:
        lines.append(f"  {pair}{newline}")
    return at, at, "".join(lines)


def _line_end(text: str, at: int) -> int:
    """The end of the line at a place, before its line break."""
    stop = text.find("\n", at)
    if stop < 0:
        return len(text)
    if text[stop - 1] == "\r":
        return stop - 1
    return stop


def _into_flow(text: str, holder: Node, pairs: Sequence[str]) -> tuple[int, int, str]:
    """The edit that adds pairs to a mapping in braces, whose last pair may already have a comma."""
    at = holder.end - 1
    added = ", ".join(pairs)
    if holder.pairs:
        behind = text[holder.pairs[-1][1].end : at].lstrip()
        if not behind.startswith(","):
            added = f", {added}"
    return at, at, added


def _before(text: str, key: Node) -> int:
    """The beginning of a key's line, or of the comments directly above it."""
    at = text.rfind("\n", 0, key.start) + 1
    while at > 0:
        above = text.rfind("\n", 0, at - 1) + 1
        if not text[above:at].lstrip().startswith("#") or above == 0:
            return at
        at = above
    return at


def _compare(recipe: Recipe, overrides: Mapping[str, str], text: str, env: frozenset[str]) -> None:
    try:
        again = load_text(text, recipe.source)
    except RecipeError:
        # The edit has broken a form that it does not know.
        raise _refused(recipe) from None
    found = launch_keys.divided(recipe, overrides)
    wanted = build_chain(recipe, overrides)
    got = build_chain(again, {})
    if wanted.keys() != got.keys():
        raise _refused(recipe)
    for key, link in wanted.items():
        value = got[key].value
        if link.value.data != value.data or value_text(link.value) != value_text(value):
            raise _refused(recipe)
    if again.container != (found.image or recipe.container):
        raise _refused(recipe)
    if found.flags:
        if render(again, {}).command != render(recipe, overrides).command:
            raise _refused(recipe)
    elif again.command != recipe.command:
        raise _refused(recipe)
    if set(again.env) != {*recipe.env, *env}:
        raise _refused(recipe)
    for name, variable in recipe.env.items():
        if name not in env and again.env[name].text != variable.text:
            raise _refused(recipe)
    values = {}
    for key in (*found.values, *map(launch_keys.root_of, found.parts)):
        values[key] = wanted[key].value
    if _layers(again, {}) != _layers(recipe, values):
        raise _refused(recipe)
    with_policy = launch_keys.applied(recipe, launch_keys.Divided(restart=found.restart))
    if _for_launches(again) != _for_launches(with_policy):
        raise _refused(recipe)


def _for_launches(recipe: Recipe) -> object:
    """The fields about launches, without their places: hooks, options of containers and all other settings.

    Mods are left out: the copy names some of them in full.
    """
    images = [(image.host, image.image) for image in recipe.images]
    settings = {key: data for key, data in recipe.runtime_config.items() if key != "mods"}
    return images, recipe.readiness, recipe.runtime_cache, recipe.runtime, recipe.model_revision, settings


def _layers(recipe: Recipe, changes: Mapping[str, Value]) -> list[object]:
    """The entries of `overrides` without their places, with other values for some keys."""
    found: list[object] = []
    for layer in recipe.layers:
        defaults = {}
        for key, value in layer.defaults.items():
            defaults[key] = value_text(changes.get(key, value))
        env = {key: value.text for key, value in layer.env.items()}
        found.append((layer.when, defaults, env, layer.container))
    return found


def _refused(recipe: Recipe) -> RecipeError:
    return RecipeError(
        "the overrides cannot be written into a copy of this file: its values refer to each other by anchors, or have"
        " a form that this program does not edit",
        spot=recipe.spots.get("defaults") or beginning(recipe),
        remedy="copy the command line instead, or edit the file",
    )
