"""Writes `engines/<engine>/history.json`: which flags came and went with which release, read from released sources.

`make_flag_history.py ENGINE FOLDER`, where FOLDER holds wheels or source archives of several releases as a package
registry's client fetches them, up to the release whose dump is shipped. Nothing of them is run. A flag counts as there
where the parser is given its spelling, or where a field stands for it in the record that the parser is made from.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sparkrun_tui.engines.dumps import load_flags
from sparkrun_tui.engines.registry import FAMILIES

PARSERS = re.compile(
    r"sglang/srt/(server_args|arg_groups/fields/\w+)\.py$"
    r"|/vllm/(engine/arg_utils|entrypoints/(.*/)?(cli_args|args)|entrypoints/cli/serve|entrypoints/launcher)\.py$"
)
"""The files that declare flags."""
MARKED = "A"
"""What SGLang annotates the fields with that are flags."""


def main(engine: str, folder: str) -> int:
    """Write the history of an engine."""
    family = FAMILIES[engine]
    dump = load_flags(family)
    releases = sorted((number(path), path) for path in Path(folder).iterdir() if engine in path.name)
    releases = [item for item in releases if item[0] <= parts(family.known_version)]
    names = [".".join(map(str, release)) for release, _ in releases]
    declared, certain = zip(*(flags_in(path) for _, path in releases), strict=True)
    came = {}
    for flag in dict.fromkeys(dump.by_spelling.values()):
        there = [any(word in found for word in flag.spellings) for found in declared]
        first = len(there) - there[::-1].index(False) if False in there else 0
        if 0 < first < len(there):
            came[flag.name] = [names[first - 1], names[first]]
    gone = {}
    for word in sorted(set().union(*certain)):
        other = word.replace("--no-", "--", 1) if word.startswith("--no-") else f"--no-{word[2:]}"
        there = [word in found for found in certain]
        if not there[-1] and not {word, other} & dump.by_spelling.keys():
            last = len(there) - 1 - there[::-1].index(True)
            gone[word] = [names[last], names[last + 1]]
    target = Path(__file__).resolve().parents[1] / "sparkrun_tui" / "engines" / family.folder / "history.json"
    target.write_text(f'{{"came":{{\n{lines(came)}\n}},\n"gone":{{\n{lines(gone)}\n}}}}\n', encoding="utf-8")
    print(f"{len(names)} releases from {names[0]} to {names[-1]}: {len(came)} flags came, {len(gone)} went")
    return 0


def lines(changes: dict[str, list[str]]) -> str:
    """One line a flag."""
    return ",\n".join(f"{json.dumps(name)}:{json.dumps(changes[name])}" for name in sorted(changes))


def parts(version: str) -> tuple[int, ...]:
    """The numbers of a release."""
    return tuple(int(part) for part in version.split("."))


def number(path: Path) -> tuple[int, ...]:
    """The release that a file is named after, without what was only repackaged."""
    match = re.match(r"[a-z]+-(\d+(?:\.\d+)*)", path.name)
    return parts(match[1]) if match else ()


def sources(path: Path) -> Iterator[str]:
    """The texts of the files that declare flags."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            yield from (wheel.read(name).decode() for name in wheel.namelist() if PARSERS.search(name))
        return
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member) if PARSERS.search(member.name) else None
            if file is not None:
                yield file.read().decode()


def flags_in(path: Path) -> tuple[set[str], set[str]]:
    """All words that may be flags of a release, and those that certainly are."""
    maybe: set[str] = set()
    certain: set[str] = set()
    for text in sources(path):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
                certain.update(word for word in strings(node.args) if word.startswith("--"))
                maybe.update(strings(node.args))
            elif isinstance(node, ast.ClassDef):
                for field in node.body:
                    if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                        word = "--" + field.target.id.replace("_", "-")
                        maybe.add(word)
                        maybe.update(strings(ast.walk(field.annotation)))
                        if is_flag(node, field):
                            certain.add(word)
    return maybe | certain, certain


def is_flag(record: ast.ClassDef, field: ast.AnnAssign) -> bool:
    """Whether a field of a record is certainly a flag."""
    annotation = field.annotation
    marked = isinstance(annotation, ast.Subscript) and getattr(annotation.value, "id", "") == MARKED
    return marked or "Frontend" in record.name


def strings(nodes: Iterator[ast.AST] | list[ast.expr]) -> set[str]:
    """The texts among some nodes that look like flags."""
    found = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in found if re.fullmatch(r"--?[a-z][\w-]*", text)}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
