"""How the code is built, in figures, beside seven other code bases: `python -m benchmarks.structure [CHECKOUT]`.

Information, not a limit: no figure fails a check. The field is what harlequin, posting, toolong, mistral-vibe,
braindrop, pyinfra and httpx had in November 2026, counted in the same way; a range leaves out none of them.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from benchmarks.table import Row, print_table

PACKAGE = "sparkrun_tui"
ENGINES = ("vllm", "sglang", "llama-cpp", "eugr")
_ENGINE_FOLDERS = ("engines", "runtimes", "memory/vllm", "memory/sglang", "memory/llama", "demo/engines")
"""Where the name of an engine is no surprise. `runtimes` is what `engines` was called before."""

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Module:
    """One file of the package: its path below the package, its text, and the text parsed."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """As it is imported, below the package: `launch.plan.steps`; a package is named by its folder."""
        parts = self.path.with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        return ".".join(parts)


@dataclass(frozen=True, slots=True)
class Branches:
    """The branches of one function: those of statements alone, and with those inside of expressions."""

    statements: int
    all: int


def read(package: Path) -> list[Module]:
    """Every module of a package, in the order of their paths."""
    modules: list[Module] = []
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        modules.append(Module(path.relative_to(package), text, ast.parse(text)))
    return modules


def code_lines(module: Module) -> int:
    """Lines that are neither blank nor only a comment. Docstrings count, as they did for the field."""
    lines = (line.strip() for line in module.text.splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)


def count(modules: list[Module], kinds: type[ast.AST] | tuple[type[ast.AST], ...]) -> int:
    """How many nodes of these kinds there are."""
    return sum(isinstance(node, kinds) for module in modules for node in ast.walk(module.tree))


def functions(modules: list[Module]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method, nested ones too."""
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, _FUNCTIONS):
                yield node


def branches(function: ast.AST) -> Branches:
    """The ways through a function, at least one; a function inside of it is part of it."""
    statements = expressions = 0
    for node in ast.walk(function):
        if isinstance(node, ast.If):
            statements += 1
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
            statements += 1 + bool(node.orelse)
        elif isinstance(node, ast.Try):
            statements += len(node.handlers) + bool(node.orelse)
        elif isinstance(node, ast.Match):
            statements += len(node.cases)
        elif isinstance(node, ast.IfExp):
            expressions += 1
        elif isinstance(node, ast.BoolOp):
            expressions += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            expressions += 1 + len(node.ifs)
        elif isinstance(node, ast.Assert):
            expressions += 1
    return Branches(1 + statements, 1 + statements + expressions)


def folder_sizes(modules: list[Module]) -> list[int]:
    """How many files each folder holds."""
    sizes: dict[Path, int] = {}
    for module in modules:
        folder = module.path.parent
        sizes[folder] = sizes.get(folder, 0) + 1
    return list(sizes.values())


def imports(module: Module) -> Iterator[str]:
    """What a module imports of this package, as names below the package; imports inside of functions count too."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.removeprefix(f"{PACKAGE}.")
            for alias in node.names:
                yield f"{node.module}.{alias.name}".removeprefix(f"{PACKAGE}.")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.removeprefix(f"{PACKAGE}.")


def arrows(modules: list[Module], package: str) -> tuple[int, int]:
    """The rooms of a package (its modules and folders), and how many pairs of them know each other by an import."""
    rooms: dict[str, str] = {}
    for module in modules:
        parts = module.name.split(".")
        if parts[0] == package and len(parts) > 1:
            rooms[module.name] = parts[1]
    found: set[tuple[str, str]] = set()
    for module in modules:
        here = rooms.get(module.name)
        for name in imports(module):
            there = rooms.get(name)
            if here and there and here != there:
                found.add((here, there))
    return len(set(rooms.values())), len(found)


def engine_names(modules: list[Module]) -> tuple[int, int]:
    """Strings that are the name of an engine outside of the engines' own folders, and the modules they are in."""
    places = 0
    holders: set[str] = set()
    for module in modules:
        if module.path.as_posix().startswith(_ENGINE_FOLDERS):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and node.value in ENGINES:
                places += 1
                holders.add(module.name)
    return places, len(holders)


def measure(checkout: Path) -> list[Row]:
    """Every figure of a checkout, with the field's beside it."""
    modules = read(checkout / PACKAGE)
    code = sum(code_lines(module) for module in modules)
    lines = sum(len(module.text.splitlines()) for module in modules)
    ways = [branches(function) for function in functions(modules)]
    sizes = folder_sizes(modules)
    places, holders = engine_names(modules)

    def density(number: int) -> str:
        return f"{number * 1000 / code:.1f}"

    def over(limit: int) -> int:
        return sum(way.all > limit for way in ways)

    rows = [
        Row("conditional expressions per 1,000 lines of code", density(count(modules, ast.IfExp)), "field: 5 to 12"),
        Row("and/or per 1,000 lines of code", density(count(modules, ast.BoolOp)), "field: 9 to 21"),
        Row("comprehensions per 1,000 lines of code", density(count(modules, _COMPREHENSIONS)), "field: 3 to 11"),
        Row(
            "functions over 10 branches, statements alone",
            f"{sum(way.statements > 10 for way in ways)} of {len(ways):,}",
            "field: 0 to 30",
        ),
        Row("functions over 10 branches, expressions too", str(over(10)), "field: 0 to 71"),
        Row("functions over 15 branches, expressions too", str(over(15)), "field: 0 to 22"),
        Row("branches of a function, mean", f"{mean(way.all for way in ways):.1f}", "field: 2.2 to 3.8"),
        Row("files in a folder: mean, largest", f"{mean(sizes):.1f}, {max(sizes)}", "field: 4 to 15, 8 to 38"),
    ]
    for package in ("models", "memory", "launch"):
        rooms, between = arrows(modules, package)
        rows.append(Row(f"{package}: rooms, arrows between them", f"{rooms}, {between}"))
    rows += [
        Row("engines named in a string: places, modules", f"{places}, {holders}"),
        Row("modules, lines, lines of code", f"{len(modules)}, {lines:,}, {code:,}"),
    ]
    return rows


def main() -> None:
    """Measure one checkout and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.structure", description=__doc__)
    here = Path(__file__).resolve().parents[1]
    parser.add_argument("checkout", nargs="?", type=Path, default=here, help="another checkout of this project")
    print_table("structure, as information", measure(parser.parse_args().checkout))


if __name__ == "__main__":
    main()
