"""Overrides given away: as a new recipe file that keeps the author's comments and order, or as a command line.

The file is edited where its values stand rather than parsed and written again: what is not changed stays byte for
byte. The result is read back and compared before it is handed out.
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
from sparkrun_tui.recipe.search.sources import reference
from sparkrun_tui.recipe.values.masking import is_private, override_words, reference_to, secrets_of_recipe, variable_of
from sparkrun_tui.recipe.values.overrides import build_chain, changed, parse_value, render, value_text

_PLAIN = re.compile(r"[A-Za-z0-9_./~+-]([A-Za-z0-9_./+@:=-]*[A-Za-z0-9_./+@=-])?")
_PROPERTIES = re.compile(r"(?:[&!]\S+[ \t]+)*")


def command_line(recipe: Recipe, overrides: Mapping[str, str], program: str = "sparkrun-tui") -> str:
    """The command that launches the recipe with these overrides, ready to paste into a shell.

    A secret is not in it: its value is taken from a variable (`-o api_key="$API_KEY"`).
    """
    words = [shell.words([program, "run", reference(recipe)]), override_words(changed(recipe, overrides))]
    return shell.joined([part for part in words if part], " ")


def exported(recipe: Recipe, overrides: Mapping[str, str]) -> str:
    """The text of a recipe file whose defaults are the recipe's with `overrides` in force.

    Overrides that are secrets are not written: they become variables, see `left_as_variables`.
    Raises `RecipeError` when the file's own form stands in the way (anchors that other values hang on).
    """
    env = {}
    for key, (name, variable) in _variables(recipe, overrides).items():
        overrides = {**overrides, key: f"${{{name}}}"}
        env[name] = Value(f"${{{variable}}}", f"${{{variable}}}")
    changes = {key: _typed(recipe, key, text) for key, text in changed(recipe, overrides).items()}
    mark = "\ufeff" if recipe.text.startswith("\ufeff") else ""
    text = recipe.text.removeprefix("\ufeff")
    newline = "\r\n" if "\r\n" in text else "\n"
    text = _with_scopes(recipe, text)
    model = changes.pop("model", None) if "model" not in recipe.defaults else None
    if changes:
        text = _edit(text, recipe.source.path, "defaults", changes, newline)
    if model is not None:
        text = _edit(text, recipe.source.path, "", {"model": model}, newline)
    if env:
        text = _edit(text, recipe.source.path, "env", env, newline)
    _compare(recipe, overrides, mark + text, frozenset(env))
    return mark + text


def _variables(recipe: Recipe, overrides: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Of each override that is a secret: the variable of the container, and that of the machine it is filled from."""
    changes = {key: _typed(recipe, key, text) for key, text in changed(recipe, overrides).items()}
    return {key: (reference_to(key)[0], variable_of(key)) for key, value in changes.items() if is_private(key, value)}


def left_as_variables(recipe: Recipe, overrides: Mapping[str, str]) -> dict[str, str]:
    """The overrides that `exported` does not write, since they are secrets: key to the variable to be set instead."""
    return {key: variable for key, (_, variable) in _variables(recipe, overrides).items()}


def keeps_secrets(recipe: Recipe, text: str) -> bool:
    """Whether the text of a recipe made from this one still holds a secret, such as one that its author wrote there."""
    try:
        again = load_text(text, recipe.source)
    except RecipeError:
        # What cannot be looked into is kept to its owner.
        return True
    return bool(secrets_of_recipe(again)) or Redactor()(text) != text


def _with_scopes(recipe: Recipe, text: str) -> str:
    """`text` with mods of the recipe's own registry named so that a file elsewhere finds them, too."""
    scoped = scoped_mods(render(recipe, {}))
    root = parse_tree(text, recipe.source.path) if scoped else None
    holder = _child(root, "mods") or _child(_child(root, "runtime_config"), "mods")
    for item in reversed(holder.items if holder is not None else []):
        name = scoped.get(item.text.strip().rstrip("/").removeprefix("./"))
        if name is not None and item.kind == "scalar":
            text = text[: item.start] + json.dumps(name) + text[_real_end(item, text) :]
    return text


def write_new_recipe(path: Path, text: str, *, overwrite: bool = False, private: bool = False) -> None:
    """Write a recipe file, `private` for its owner alone. Raises `RecipeError` when it exists, or cannot be written."""
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
    chain = build_chain(recipe, {})
    return parse_value(text, chain[key].value if key in chain else None)


def yaml_scalar(value: Value) -> str:
    """A value as YAML that reads back as the same: plain where that is safe, else in double quotes, or as JSON."""
    data = value.data
    if isinstance(data, (list, dict)):
        return compact_json(data)
    if not isinstance(data, str):
        return value.text if value.text and resolve(value.text) != "str" else json.dumps(data)
    if _PLAIN.fullmatch(data) and resolve(data) == "str" and not data.startswith(("-", "~")):
        return data
    return json.dumps(data, ensure_ascii=data.isprintable() is False)


def _edit(text: str, path: str, section: str, changes: Mapping[str, Value], newline: str) -> str:
    """`text` with keys of a section (or of the top level) set; new keys follow the last one."""
    root = parse_tree(text, path)
    holder = _child(root, section) if section else root
    edits: list[tuple[int, int, str]] = []
    new: dict[str, Value] = {}
    for key, value in changes.items():
        node = _child(holder, key) if holder is not None and holder.kind == "map" else None
        if node is None:
            new[key] = value
        else:
            start = node.start + len(_PROPERTIES.match(text, node.start)[0])  # type: ignore[index]
            space = "" if text[start - 1 : start] in (" ", "\t", "") else " "
            edits.append((start, _real_end(node, text), space + yaml_scalar(value)))
    if new:
        edits.append(_addition(text, root, holder, section, new, newline))
    for start, end, piece in sorted(edits, reverse=True):
        text = text[:start] + piece + text[end:]
    return text


def _child(node: Node | None, key: str) -> Node | None:
    if node is None or node.kind != "map":
        return None
    found = [value for name, value in node.pairs if key_text(name) == key and name.tag != "merge"]
    return found[-1] if found else None


def _real_end(node: Node, text: str) -> int:
    """Where a node's own text ends: block nodes end before the comments and blank lines that follow them."""
    if node.kind == "scalar" and node.style not in ("|", ">"):
        return node.end
    if node.style == "flow" or text[node.start : node.start + 1] == "*":
        return node.end
    if node.kind == "scalar":
        return node.start + len(text[node.start : node.end].rstrip())
    last = node.pairs[-1][1] if node.pairs else node.items[-1] if node.items else None
    return _real_end(last, text) if last is not None else node.end


def _addition(
    text: str, root: Node, holder: Node | None, section: str, new: Mapping[str, Value], newline: str
) -> tuple[int, int, str]:
    pairs = [f"{yaml_scalar(Value(key, key))}: {yaml_scalar(value)}" for key, value in new.items()]
    if holder is None and root.style == "flow":
        return _into_flow(text, root, [f"{json.dumps(section)}: {{{', '.join(pairs)}}}"])
    if holder is None:
        # Before the command, if it can be: what follows the last line of a text may change the text.
        command = next((key for key, _ in root.pairs if key_text(key) == "command"), None)
        at = len(text) if command is None else _before(text, command)
        lead = newline if at and text[at - 1] != "\n" else ""
        return at, at, lead + newline.join([f"{section}:", *(f"  {pair}" for pair in pairs), ""])
    if holder.kind == "map" and holder.style == "flow":
        return _into_flow(text, holder, pairs)
    if holder is root:
        at = _before(text, root.pairs[0][0])
        return at, at, "".join(f"{pair}{newline}" for pair in pairs)
    if holder.kind == "map" and holder.pairs:
        indent = " " * (holder.pairs[0][0].column - 1)
        at = _real_end(holder.pairs[-1][1], text)
        # A comment behind the last value stays behind it.
        stop = text.find("\n", at)
        at = len(text) if stop < 0 else stop - (text[stop - 1 : stop] == "\r")
        return at, at, "".join(f"{newline}{indent}{pair}" for pair in pairs)
    key = next(name for name, value in root.pairs if value is holder)
    at = text.index(":", key.end) + 1
    stop = holder.end if holder.text else at
    return at, stop, "".join(f"{newline}  {pair}" for pair in pairs)


def _into_flow(text: str, holder: Node, pairs: Sequence[str]) -> tuple[int, int, str]:
    """The addition of pairs to a mapping in braces, whose last pair may have a comma already."""
    at = holder.end - 1
    behind = text[holder.pairs[-1][1].end : at].lstrip() if holder.pairs else ","
    return at, at, ("" if behind.startswith(",") else ", ") + ", ".join(pairs)


def _before(text: str, key: Node) -> int:
    """The beginning of a key's line, or of the comments that stand directly above it."""
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
        # The edit has broken what it could not know.
        raise _refused(recipe) from None
    wanted = build_chain(recipe, overrides)
    got = build_chain(again, {})
    same = wanted.keys() == got.keys() and all(
        value_text(link.value) == value_text(got[key].value) and link.value.data == got[key].value.data
        for key, link in wanted.items()
    )
    if not same or (again.command, set(again.env), again.container) != (
        recipe.command,
        {*recipe.env, *env},
        recipe.container,
    ):
        raise _refused(recipe)


def _refused(recipe: Recipe) -> RecipeError:
    return RecipeError(
        "the overrides cannot be written into a copy of this file: its values hang on each other by anchors, or are"
        " written in a form that is not edited here",
        spot=recipe.spots.get("defaults") or beginning(recipe),
        remedy="copy the command line instead, or edit the file",
    )
