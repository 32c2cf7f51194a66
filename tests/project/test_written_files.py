"""Files that two programs may write go through `base/files`: nobody opens, replaces or locks one by other means."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.project.test_repo import ROOT, sources

PLACE = "base/disk/files.py"

WRITERS = frozenset(
    {
        "os.replace", "os.rename", "os.renames", "os.link", "os.symlink", "os.truncate",
        "shutil.move", "shutil.copy", "shutil.copy2", "shutil.copyfile", "tempfile.mkstemp",
        "tempfile.NamedTemporaryFile", "fcntl.flock", "fcntl.lockf", "os.lockf",
    }
)  # fmt: skip
METHODS = frozenset({"write_text", "write_bytes", "rename", "symlink_to", "hardlink_to"})

OTHERS = {
    ("recipe/registry/git.py", "write_text"): "the configuration of a clone in a folder that was just made",
    ("recipe/registry/cache.py", "open"): "files of a clone in a folder that was just made",
    ("recipe/registry/cache.py", "rename"): "that folder, to a name that nothing else has, under the lock",
    ("launch/record/log_files.py", "os.replace"): "a full part of a log takes the name of an older part",
    ("ui/app/ending.py", "open"): "the null device, for an app whose terminal is gone",
    ("cli/launch.py", "open"): "the null device",
}
"""Where something else is right, and why."""

WHOLE = {
    "models/digest_cache.py": "a digest is made from a model, not from the digest before it",
    "recipe/registry/cache.py": "the state of a clone, written under the lock of its update",
    "recipe/search/listing.py": "the index is made from the recipes",
    "recipe/values/saved_overrides.py": "the overrides of one recipe as they are in the form",
    "launch/plan/web_recipes.py": "the file as the web has it now",
    "base/user/kept_settings.py": "a parse is made from the settings",
    "base/user/remembered.py": "the last session as it ended",
    "ui/model/first_rows.py": "the rows of the last list, made from the recipes",
    "launch/bench/client.py": "a mark that an environment is whole",
    "launch/bench/measuring.py": "a copy of the text that the user names",
    "launch/bench/store.py": "a new result, whose id is new",
    "launch/record/report.py": "the report of a launch at one moment",
}
"""Who may replace a file without looking at what it holds, since the new text does not come from the old one."""


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Every call of a function with a name, by module."""
    for path in sources():
        where = path.relative_to(ROOT / "sparkrun_tui").as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                yield where, ast.unparse(node.func), node


def opens_to_write(name: str, call: ast.Call) -> bool:
    """Whether this opens a file to write it, or by a mode or flags that cannot be read here."""
    if name == "os.open":
        return re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)", ast.unparse(call)) is not None
    modes = [each.value for each in call.keywords if each.arg == "mode"]
    modes += call.args[1:2] if name == "open" else call.args[:1]
    texts = [mode.value if isinstance(mode, ast.Constant) else None for mode in modes]
    if name == "open":
        return any(text is None or set(str(text)) & set("wax+") for text in texts)
    # Other things have a method `open`: that of a path is given a mode.
    return any(isinstance(text, str) and re.fullmatch(r"[rbt]*[wax+][rbt+]*", text) for text in texts)


def written(name: str, call: ast.Call) -> str:
    """What a call writes files with; empty when it does not."""
    last = name.rpartition(".")[2]
    if name in WRITERS:
        return name
    if "." in name and last in METHODS:
        return last
    # Texts and dates have a `replace` too: that of a path has one argument.
    alone = len(call.args) == 1 and not isinstance(call.args[0], ast.Starred) and not call.keywords
    if "." in name and last == "replace" and alone:
        return "replace"
    opens = last == "open" and name != "tarfile.open" and opens_to_write(name, call)
    return ("os.open" if name == "os.open" else "open") if opens else ""


def test_only_one_place_writes_files_that_are_shared() -> None:
    found = {(where, written(name, call)) for where, name, call in calls() if where != PLACE}
    used = {entry for entry in found if entry[1]}
    assert sorted(used - OTHERS.keys()) == [], "write it with base/files, or say here why not"
    assert sorted(OTHERS.keys() - used) == [], "no longer there"


def test_files_are_replaced_unseen_only_where_that_loses_nothing() -> None:
    found = {where for where, name, _ in calls() if name.rpartition(".")[2] == "write_private" and where != PLACE}
    assert found == WHOLE.keys(), "use update_private, or say here why nothing is lost"


def test_the_rule_sees_what_it_must() -> None:
    text = (
        "os.replace(a, b); path.write_text(c); open(a, 'w'); open(a, mode='ab'); path.open('x'); path.replace(other)\n"
        "open(a); path.open(); backend.open(launches); os.open(a, os.O_RDONLY)\n"
        "text.replace('a', 'b'); open(a, 'rb'); replace(value, x=1); open(a, mode); os.open(a, os.O_CREAT)"
    )
    found = [
        written(ast.unparse(node.func), node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    ]
    assert sorted(filter(None, found)) == ["open"] * 4 + ["os.open", "os.replace", "replace", "write_text"]
