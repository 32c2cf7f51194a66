"""Exports overrides: as a new recipe file that keeps the author's comments and order, or as a command line.

The file is edited at its values rather than parsed and written again: what is not changed stays byte for byte. The
result is read back and compared before it is returned.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from sparkrun_tui.base import files, shell
from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.recipe.bundled_files.attachments import scoped_mods
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.format.spots import beginning
from sparkrun_tui.recipe.format.yamltree import Node, compact_json, key_text, parse_tree, resolve
from sparkrun_tui.recipe.model import Recipe, Value
from sparkrun_tui.recipe.search.entry import reference
from sparkrun_tui.recipe.values.masking import is_private, override_words, reference_to, secrets_of_recipe, variable_of
from sparkrun_tui.recipe.values.overrides import build_chain, changed, parse_value, render, value_text

_PLAIN = re.compile(r"[A-Za-z0-9_./~+-]([A-Za-z0-9_./+@:=-]*[A-Za-z0-9_./+@=-])?")
_PROPERTIES = re.compile(r"(?:[&!]\S+[ \t]+)*")


def command_line(recipe: Recipe, overrides: Mapping[str, str], program: str = "sparkrun-tui") -> str:
    """The command that launches the recipe with these overrides, ready to paste into a shell.

    It contains no secret: the value is taken from a variable (`-o api_key="$API_KEY"`).
    """
    words = [shell.words([program, "run", reference(recipe)]), override_words(changed(recipe, overrides))]
    return shell.joined([part for part in words if part], " ")


def exported(recipe: Recipe, overrides: Mapping[str, str]) -> str:
    """The text of a recipe file whose defaults are the recipe's with `overrides` applied.

    Overrides that are secrets are not written: they become variables, see `left_as_variables`.
    Raises `RecipeError` when the form of the file does not allow the change (anchors that other values refer to).
    """
    env = {}
    for key, (name, variable) in _variables(recipe, overrides).items():
        overrides = {**overrides, key: f"${{{name}}}"}
        env[name] = Value(f"${{{variable}}}", f"${{{variable}}}")
    changes = {key: _typed(recipe, key, text) for key, text in changed(recipe, overrides).items()}
    text = recipe.text.removeprefix("\ufeff")
    mark = recipe.text.removesuffix(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    text = _with_scopes(recipe, text)
    model = None
    if "model" not in recipe.defaults:
        model = changes.pop("model", None)
    if changes:
        text = _edit(text, recipe.source.path, "defaults", changes, newline)
    if model is not None:
        text = _edit(text, recipe.source.path, "", {"model": model}, newline)
    if env:
        text = _edit(text, recipe.source.path, "env", env, newline)
    _compare(recipe, overrides, mark + text, frozenset(env))
    return mark + text


def _variables(recipe: Recipe, overrides: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """For each override that is a secret: the container's variable, and the workstation's variable that fills it."""
    found = {}
    for key, text in changed(recipe, overrides).items():
        if is_private(key, _typed(recipe, key, text)):
            found[key] = (reference_to(key)[0], variable_of(key))
    return found


def left_as_variables(recipe: Recipe, overrides: Mapping[str, str]) -> dict[str, str]:
    """The overrides that `exported` does not write, since they are secrets: key to the variable to be set instead."""
    return {key: variable for key, (_, variable) in _variables(recipe, overrides).items()}


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
            files.overwrite(path, text.encode(), mode)
        else:
            files.write_new(path, text.encode(), mode)
    except FileExistsError as error:
        raise RecipeError(f"{path} exists already", remedy="choose another name") from error
    except OSError as error:
        raise RecipeError(f"{path} cannot be written: {error.strerror or error}") from error


def _typed(recipe: Recipe, key: str, text: str) -> Value:
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
        start = node.start + len(_PROPERTIES.match(text, node.start)[0])  # type: ignore[index]
        piece = yaml_scalar(value)
        if text[start - 1 : start] not in (" ", "\t", ""):
            piece = f" {piece}"
        edits.append((start, _real_end(node, text), piece))
    if new:
        edits.append(_addition(text, root, holder, section, new, newline))
    for start, end, piece in sorted(edits, reverse=True):
        text = text[:start] + piece + text[end:]
    return text


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
    wanted = build_chain(recipe, overrides)
    got = build_chain(again, {})
    if wanted.keys() != got.keys():
        raise _refused(recipe)
    for key, link in wanted.items():
        value = got[key].value
        if link.value.data != value.data or value_text(link.value) != value_text(value):
            raise _refused(recipe)
    if again.command != recipe.command or again.container != recipe.container:
        raise _refused(recipe)
    if set(again.env) != {*recipe.env, *env}:
        raise _refused(recipe)


def _refused(recipe: Recipe) -> RecipeError:
    return RecipeError(
        "the overrides cannot be written into a copy of this file: its values refer to each other by anchors, or have"
        " a form that this program does not edit",
        spot=recipe.spots.get("defaults") or beginning(recipe),
        remedy="copy the command line instead, or edit the file",
    )
