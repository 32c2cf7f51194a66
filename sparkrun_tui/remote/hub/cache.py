"""What a Hugging Face cache holds, judged without the network; a partly downloaded model does not count."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sparkrun_tui.base.disk.files import read_text
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.reading.identifiers import Commit
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.models.snapshot import folder_name
from sparkrun_tui.remote.hub.lengths import any_cut, kept_listing
from sparkrun_tui.remote.ports.models import ModelFile

_PART = late_regex(r"(.*)-([0-9]{5})-of-([0-9]{5})(\.[a-z]+)")
INDEX = ".safetensors.index.json"
_MOST_INDEXES = 16
"""Indexes of one model that are read: all of them may be links to one large file."""
_MOST_INDEX = 32 << 20
_WEIGHT_MAP = late_regex(r'"weight_map"\s*+:\s*+\{')
_ENTRY = late_regex(
    r'[\s,]*+"[^"\\]*+(?:\\.[^"\\]*+)*"\s*+:\s*+"([^"\\]*+(?:\\.[^"\\]*+)*)"',
    re.DOTALL,
)
"""A tensor and its file in an index."""
_MOST_ESCAPES = 10_000
"""Backslashes in an index: a pattern remembers its place at each."""
_BETWEEN = 1000
"""Blanks at most behind the last entry of an index."""
_WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth")
_TOKENIZERS = ("tokenizer", "vocab", "merges", "tekken", "spiece", "sentencepiece")
# Other forms of the same weights, which no engine here reads when there are safetensors.
_OTHER_FORMS = ("*.bin", "*.pt", "*.pth", "*.gguf", "*.h5", "*.msgpack", "*.onnx", "*.onnx_data", "*.tflite", "*.ot",
                "original/*", "onnx/*", "openvino/*")  # fmt: skip

_DESCRIBING = ("config.json", "hf_quant_config.json", "*.safetensors")
"""The files that say what a model's memory is."""


def by_patterns(names: Sequence[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """The names that match, as huggingface_hub matches them; without patterns all files that an engine reads."""
    if patterns:
        wide = []
        for pattern in patterns:
            if pattern.endswith("/"):
                pattern += "*"
            wide.append(pattern)
        return tuple(name for name in names if _matches(name, wide))
    if not any(name.endswith(".safetensors") for name in names):
        return tuple(names)
    return tuple(name for name in names if not _matches(name, _OTHER_FORMS))


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def commit_of(hub: Path, repo: str, revision: str) -> Commit | None:
    """The commit that the cache has for a revision (empty: `main`); None when it has none."""
    bare = identifiers.commit(revision)
    if bare is not None:
        return bare
    if identifiers.relative_path(revision or "main") is None:
        return None
    try:
        text = read_text(hub / folder_name(repo) / "refs" / (revision or "main"), encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return identifiers.commit(text.strip())


def files_in(hub: Path, repo: str, commit: str) -> tuple[ModelFile, ...]:
    """The files of a snapshot that are whole, with their sizes; a link without its blob is none.

    Nor is one that leads out of the cache, itself or by a folder on its way: what is found here is sent to hosts, and
    a cache that several users share may contain links to files that only this one can read.
    """
    root = hub / folder_name(repo) / "snapshots" / commit
    roots = _roots(hub, repo)
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            inside = os.path.relpath(path, root)
            if identifiers.relative_path(inside) is None:
                continue
            size = _size_within(path, roots)
            if size is not None:
                found.append(ModelFile(inside, size, cached=True))
    return tuple(sorted(found, key=lambda file: file.name))


def _roots(hub: Path, repo: str) -> tuple[str, str]:
    """The folders in which the files of a model may be; that of the model may be a link to another disk."""
    return os.path.realpath(hub), os.path.realpath(hub / folder_name(repo))


def _size_within(path: str, roots: Sequence[str]) -> int | None:
    """The bytes of a regular file that is inside one of some folders, its links followed; None for anything else."""
    real = os.path.realpath(path)
    if not any(real.startswith(f"{root}/") for root in roots):
        return None
    try:
        status = os.lstat(real)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def looks_whole(hub: Path, repo: str, commit: str, files: Iterable[ModelFile]) -> bool:
    """Whether these files look like a whole model: all parts, the files of the index, a tokenizer, none cut off.

    A download that broke off may lack any files, so a cache with incomplete blobs counts as not whole.
    """
    folder = hub / folder_name(repo)
    snapshot = folder / "snapshots" / commit
    sizes = {file.name: file.size for file in files}
    listed = [name for name in sizes if name.endswith(INDEX)]
    if len(listed) > _MOST_INDEXES:
        return False
    indexes = {name: _text(snapshot / name) for name in listed}
    if not whole(sizes, indexes, any((folder / "blobs").glob("*.incomplete"))):
        return False
    return not any_cut(snapshot, sizes, kept_listing(folder, commit))


def described(hub: Path, repo: str, commit: str) -> tuple[ModelFile, ...]:
    """The files of a snapshot that say what a model's memory is: its configuration, and all its safetensors.

    Empty where one of them is missing or was cut off. A tokenizer is not looked for: it takes no memory.
    """
    folder = hub / folder_name(repo)
    files = [file for file in files_in(hub, repo, commit) if _matches(file.name, _DESCRIBING)]
    sizes = {file.name: file.size for file in files}
    weights = [name for name in sizes if name.endswith(".safetensors")]
    if "config.json" not in sizes or not weights or not _all_parts(weights, set(sizes)):
        return ()
    if any_cut(folder / "snapshots" / commit, sizes, kept_listing(folder, commit)):
        return ()
    return tuple(files)


def whole(names: Iterable[str], indexes: Mapping[str, str], partial: bool) -> bool:
    """The same for a listed cache: names, texts of weight indexes by name, and whether it has incomplete blobs."""
    present = set(names)
    if partial:
        return False
    weights = [name for name in present if name.endswith(_WEIGHTS)]
    if not weights or not _all_parts(weights, present):
        return False
    if all(name.endswith(".gguf") for name in weights):
        return True
    if not _indexed(indexes, present):
        return False
    has_config = False
    has_tokenizer = False
    for name in present:
        base = name.rpartition("/")[2].lower()
        if base in ("config.json", "params.json"):
            has_config = True
        if base.startswith(_TOKENIZERS):
            has_tokenizer = True
    return has_config and has_tokenizer


def _all_parts(weights: Iterable[str], present: set[str]) -> bool:
    """Whether every set of parts is complete. Each set is checked once: a host may list 100,000 parts."""
    sets = set()
    for name in weights:
        found = _PART.fullmatch(name)
        if found is not None:
            sets.add((found[1], found[3], found[4]))
    for stem, count, ending in sets:
        for part in range(1, int(count) + 1):
            if f"{stem}-{part:05d}-of-{count}{ending}" not in present:
                return False
    return True


def _indexed(indexes: Mapping[str, str], present: set[str]) -> bool:
    """Whether every file that an index of weights names is there.

    The index is searched rather than parsed: the author of a model may write millions of entries, and to parse them
    takes half a gigabyte of memory, and seconds in which no other thread has a turn.
    """
    for name, text in indexes.items():
        begin = _WEIGHT_MAP.search(text)
        if begin is None or not text.endswith("}", 0, len(text.rstrip())):
            return False
        if text.count("\\") > _MOST_ESCAPES:
            return False
        folder = name.rpartition("/")[0]
        place = begin.end()
        # Each entry begins where the one before it ends: to look for the next one from every quote would take hours.
        while entry := _ENTRY.match(text, place):
            if (f"{folder}/{entry[1]}" if folder else entry[1]) not in present:
                return False
            place = entry.end()
        if not text[place : place + _BETWEEN].lstrip().startswith("}"):
            return False
    return True


def _text(path: Path) -> str:
    """The text of a file, empty when it cannot be read."""
    try:
        return read_text(path, _MOST_INDEX)
    except (OSError, UnicodeDecodeError):
        return ""
