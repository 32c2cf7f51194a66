"""The cached state of a repository: its recipes and the files they may copy, with commit and time of the last fetch.

Files are written from the object store, not checked out: links, submodules, filters and hooks have no effect. A fetch
that fails leaves the earlier state in place.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sparkrun_tui.base.disk import files, paths
from sparkrun_tui.base.disk.files import open_regular, read_text
from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.reading.json_text import parse_json
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import decode
from sparkrun_tui.recipe.model import ENDINGS
from sparkrun_tui.recipe.registry.config import url_key

if TYPE_CHECKING:
    # Imported by the functions that call git: what is read from a cache needs neither it nor processes.
    from sparkrun_tui.recipe.registry import git

MANIFEST = ".sparkrun/registry.yaml"
"""The file in which a repository declares its registries."""
MAX_FILES = 20_000
MAX_FOLDERS = 10_000
"""The most folders of the kept files. A small repository may list any number, since its trees may repeat each other."""
MAX_KEPT = 64 << 20
"""The most bytes of a repository's files that are kept, recipes first."""
MAX_RECIPES = 8 << 20
"""The most bytes of a repository's recipes that are kept. To read more YAML takes minutes; a recipe has about 2 KB."""

_FORM = 2
"""The format of a cache: 1 had only recipes."""
_MAX_PATH = 1200
_MAX_PART = 240
"""Bytes of a path and of each of its names; no file system here takes names of more than 255."""
_MAX_DEPTH = 32
_BAD = late_regex(r"[\x00-\x1f\x7f-\x9f\\]")
_REGULAR = (b"100644", b"100755")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cached state of a repository: the folder of its files, the commit, and the last fetch (seconds, epoch)."""

    folder: Path
    commit: str
    fetched: float
    skipped: int = 0
    """The number of recipe files left out: links, submodules, files that are too large or badly named."""
    left_out: tuple[str, ...] = ()
    """Other entries that were left out, as paths in the repository."""
    form: int = _FORM

    @property
    def whole(self) -> bool:
        """Whether it also keeps files other than recipes."""
        return self.form == _FORM

    def lacks(self, path: str) -> str:
        """The first entry at or below `path` of the repository that was left out, empty when none was."""
        below = f"{path}/" if path else ""
        for name in self.left_out:
            if name == path or name.startswith(below):
                return name
        return ""


@dataclass(frozen=True, slots=True)
class Update:
    """The recipe files that a fetch changed, as paths in the repository."""

    snapshot: Snapshot
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether any recipe file was added, changed or removed."""
        return bool(self.added or self.changed or self.removed)


def home(url: str) -> Path:
    """The cache folder of a repository."""
    return paths.cache_dir() / "registries" / hashlib.sha256(url_key(url).encode()).hexdigest()[:24]


def snapshot(url: str) -> Snapshot | None:
    """The cached state of a repository, None when it was never fetched."""
    place = home(url)
    try:
        data = parse_json(read_text(place / "state.json"))
        folder = place / str(data["folder"])
        if not folder.is_dir() or folder.parent != place:
            return None
        left_out = tuple(map(str, data.get("left_out", ())))
        skipped, form = int(data.get("skipped", 0)), int(data.get("form", 1))
        return Snapshot(folder, str(data["commit"]), float(data["fetched"]), skipped, left_out, form)
    except (OSError, ValueError, KeyError, TypeError):
        # An unreadable cache counts as none: the next update creates it again.
        return None


def fetch(url: str, progress: git.Progress | None = None) -> Update:
    """Update the cache. Raises `RecipeError`; the earlier state stays then."""
    import tempfile

    from sparkrun_tui.recipe.registry import git

    place = home(url)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _lock(place, url):
        before = snapshot(url)
        commit = git.remote_commit(url)
        is_current = before is not None and before.commit == commit and before.whole
        if before is not None and is_current:
            current = replace(before, fetched=time.time())
            _write_state(place, current)
            return Update(current)
        with tempfile.TemporaryDirectory(dir=place, prefix="clone-") as scratch:
            bare = Path(scratch) / "repository"
            git.clone(url, bare, progress)
            head = decode(git.local(bare, ["rev-parse", "HEAD"], url=url)).strip()
            extracted = Path(scratch) / "files"
            extracted.mkdir()
            skipped, left_out = _extract(bare, extracted, url)
            folder = place / f"files-{head[:12]}-{os.getpid()}-{time.time_ns()}"
            extracted.rename(folder)
        current = Snapshot(folder, head, time.time(), skipped, left_out)
        changes = _changes(before.folder if before else None, folder)
        _write_state(place, current)
        _sweep(place, folder)
        return Update(current, *changes)


def discard(url: str) -> None:
    """Remove the cache of a repository."""
    import shutil

    shutil.rmtree(home(url), ignore_errors=True)


@contextmanager
def _lock(place: Path, url: str) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(files.locked(place / "state.json", wait=0))
        except files.Busy as error:
            raise RecipeError(
                f"{url} is being updated by another process", remedy="try again when it is done"
            ) from error
        yield


def _write_state(place: Path, current: Snapshot) -> None:
    body = {"folder": current.folder.name, "commit": current.commit, "fetched": current.fetched}
    body |= {"skipped": current.skipped, "left_out": current.left_out, "form": current.form}
    files.write_private(place / "state.json", json.dumps(body))


def _sweep(place: Path, keep: Path) -> None:
    import shutil

    for entry in place.iterdir():
        if entry.is_dir() and entry != keep:
            shutil.rmtree(entry, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Blob:
    """A file of a repository: its path, the name of its object, and whether it is a program."""

    path: str
    name: str
    program: bool

    @property
    def is_recipe(self) -> bool:
        """Whether it is a recipe file, or the file that declares registries."""
        return self.path == MANIFEST or self.path.lower().endswith(ENDINGS)


def _extract(bare: Path, target: Path, url: str) -> tuple[int, tuple[str, ...]]:
    """Write the files of a clone, recipes first. The number of recipes left out, and the other paths left out."""
    from sparkrun_tui.recipe.registry import git

    wanted: list[_Blob] = []
    left: list[_Blob] = []
    listing = ["ls-tree", "-r", "-z", "--full-tree", "HEAD"]
    for row in git.local(bare, listing, url=url, rows=git.MAX_ENTRIES).split(b"\0"):
        meta, tab, name = row.partition(b"\t")
        words = meta.split()
        if not tab or len(words) != 3:
            continue
        blob = _Blob(decode(name), decode(words[2]), words[0] == b"100755")
        if words[0] in _REGULAR and safe_path(blob.path):
            wanted.append(blob)
        else:
            left.append(blob)
    wanted.sort(key=lambda blob: not blob.is_recipe)
    wanted, beyond = _within_bounds(wanted)
    left += beyond + _write_blobs(bare, target, wanted, url)
    others = [blob.path for blob in left if not blob.is_recipe]
    return sum(blob.is_recipe for blob in left), tuple(others[:MAX_FILES])


def _within_bounds(wanted: list[_Blob]) -> tuple[list[_Blob], list[_Blob]]:
    """The files within `MAX_FILES` and `MAX_FOLDERS`, and those beyond."""
    kept: list[_Blob] = []
    beyond: list[_Blob] = []
    folders: set[str] = set()
    for blob in wanted:
        new = _folders_of(blob.path) - folders
        if len(kept) == MAX_FILES or len(folders) + len(new) > MAX_FOLDERS:
            beyond.append(blob)
            continue
        folders |= new
        kept.append(blob)
    return kept, beyond


def _folders_of(path: str) -> set[str]:
    """The folders above a file in the repository, as paths in it."""
    parts = path.split("/")[:-1]
    return {"/".join(parts[: number + 1]) for number in range(len(parts))}


def safe_path(path: str) -> bool:
    """Whether a path from a repository stays inside the folder it is written to, and can be shown."""
    parts = path.split("/")
    size = len(path.encode("utf-8", "surrogatepass"))
    if size > _MAX_PATH or len(parts) > _MAX_DEPTH:
        return False
    if _BAD.search(path) or "\ufffd" in path:
        return False
    return all(_is_safe_name(part) for part in parts)


def _is_safe_name(name: str) -> bool:
    if name.lower() in ("", ".", "..", ".git"):
        return False
    return len(name.encode("utf-8", "surrogatepass")) < _MAX_PART


def _write_blobs(bare: Path, target: Path, wanted: list[_Blob], url: str) -> list[_Blob]:
    """Write files below `target`. The files that were left out."""
    from sparkrun_tui.recipe.registry import git

    small, left = _small_ones(bare, wanted, url)
    asked = "".join(f"{blob.name}\n" for blob in small).encode()
    output = git.local(bare, ["cat-file", "--batch"], asked, url=url, most=MAX_KEPT + git.MAX_OUTPUT)
    at = 0
    for blob in small:
        stop = output.find(b"\n", at)
        words = decode(output[at:stop]).split()
        size = None
        if stop >= 0 and len(words) == 3:
            size = whole(words[2])
        if size is None:
            raise RecipeError(f"{url}: git lists {blob.path} but does not return it")
        data = output[stop + 1 : stop + 1 + size]
        at = stop + size + 2
        file = target / blob.path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as handle:
                handle.write(data)
            if blob.program:
                file.chmod(0o755)
        except (FileExistsError, NotADirectoryError):
            # This file system does not distinguish two names: the first file stays.
            left.append(blob)
    return left


def _small_ones(bare: Path, wanted: list[_Blob], url: str) -> tuple[list[_Blob], list[_Blob]]:
    """The files that can be kept, and those that cannot: too large, not fetched, or beyond the bounds in bytes."""
    from sparkrun_tui.recipe.registry import git

    asked = "".join(f"{blob.name}\n" for blob in wanted).encode()
    answers = git.local(bare, ["cat-file", "--batch-check=%(objecttype) %(objectsize)"], asked, url=url).splitlines()
    small: list[_Blob] = []
    left: list[_Blob] = []
    room, room_for_recipes = MAX_KEPT, MAX_RECIPES
    for blob, answer in zip(wanted, answers, strict=True):
        size = None
        if answer.startswith(b"blob "):
            size = whole(decode(answer.removeprefix(b"blob ")))
        if size is None or size > min(git.MAX_BLOB, room):
            left.append(blob)
            continue
        if blob.is_recipe:
            if size > room_for_recipes:
                left.append(blob)
                continue
            room_for_recipes -= size
        room -= size
        small.append(blob)
    return small, left


def _digests(folder: Path | None) -> dict[str, bytes]:
    if folder is None:
        return {}
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            if not name.lower().endswith(ENDINGS):
                continue
            with open_regular(path) as file:
                found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).digest()
    return found


def _changes(before: Path | None, after: Path) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The recipe files that were added, changed and removed."""
    old, new = _digests(before), _digests(after)
    changed = [path for path in new.keys() & old.keys() if new[path] != old[path]]
    added = new.keys() - old.keys()
    removed = old.keys() - new.keys()
    return tuple(sorted(added)), tuple(sorted(changed)), tuple(sorted(removed))
