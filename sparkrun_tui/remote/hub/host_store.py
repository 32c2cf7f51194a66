"""What lies in a host's whole model cache, read in one round trip: sizes, revisions, parts of downloads, whose it is.

Nothing is followed: a link in the cache is listed as a link, and the answer is bounded.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import field

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.reading.identifiers import Commit
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.models.snapshot import folder_name
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.transport import Outcome, Transport

TIMEOUT = 120.0
"""Seconds for listing a cache: a slow disk takes a second for a thousand files."""

MOST_REPOS = 1000
"""Models of one cache that are listed."""
MOST_REVISIONS = 20
"""Revisions of one model that are listed."""

FRESH = 600
"""Seconds after its last byte during which a part of a download counts as being downloaded."""

_KIB = 1024
_FOLDER = late_regex(r"models--[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_MOST_OWNERS = 8
_MOST_WORDS = 200

# `find` prints what a model's folder holds without following links; awk adds it up. A file of a snapshot is a link to
# its blob, so that a revision's size is that of the blobs that its links name. Parts are what huggingface_hub and rsync
# leave of a transfer that broke off. Numbers are printed as `%.0f`: mawk's integers end at 2 GiB.
_LIST = """\
# sparkrun-tui: store-list
LC_ALL=C; export LC_ALL
hub={hub}
now=$(date +%s)
printf 'now\\t%s\\n' "$now"
printf 'user\\t%s\\n' "$(id -un)"
printf 'boot\\t%s\\n' "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
lock="$HOME/.cache/sparkrun-tui/lock"
if [ -d "$lock" ]; then
  renewed=$(cat "$lock/renewed" 2>/dev/null || stat -c %Y "$lock" 2>/dev/null || echo "$now")
  owner=$(head -c 2000 "$lock/owner.json" 2>/dev/null | base64 | tr -d '\\n')
  printf 'lease\\t%s\\t%s\\n' "$((now - renewed))" "$owner"
fi
cd -- "$hub" 2>/dev/null || {{ echo end; exit 0; }}
printf 'hub\\t%s\\t%s\\n' "$(stat -c %d:%i .)" "$(pwd -P)"
printf 'disk\\t%s\\n' "$(df -Pk . 2>/dev/null | tail -n 1)"
sum() {{
  awk -F '\\t' -v now="$now" -v fresh={fresh} -v most={revisions} '
    {{
      if ($1 == "l" && split($6, at, "/") > 2 && at[1] == "snapshots") {{
        count = split($7, to, "/"); links[at[2]]++; target[at[2], links[at[2]]] = to[count]
        next
      }}
      if ($1 != "f") next
      disk += $3 * 512; if ($5 > changed) changed = $5; if ($4 > read) read = $4
      if (!($8 in owners)) {{ owners[$8]; printf "owner\\t%s\\n", $8 }}
      if ($6 ~ /\\.incomplete$/ || $6 ~ /(^|\\/)\\.sparkrun-partial\\// || $6 ~ /^blobs\\/\\.[^\\/]+$/) {{
        parts++; partial += $3 * 512
        if (now - $5 < fresh) busy++
      }} else if (split($6, at, "/") == 2 && at[1] == "blobs") size[at[2]] = $2
      else if (at[1] == "snapshots") {{ files[at[2]]++; bytes[at[2]] += $2 }}
    }}
    END {{
      printf "sum\\t%.0f\\t%.0f\\t%.0f\\n", disk, changed, read
      if (parts) printf "parts\\t%.0f\\t%.0f\\t%.0f\\n", parts, partial, busy
      for (name in links) {{
        lost = 0
        for (n = 1; n <= links[name]; n++) {{
          if (target[name, n] in size) bytes[name] += size[target[name, n]]; else lost++
        }}
        files[name] += links[name]; gone[name] = lost
      }}
      for (name in files) if (shown++ < most) {{
        printf "rev\\t%s\\t%.0f\\t%.0f\\t%.0f\\n", name, files[name], bytes[name], gone[name]
      }}
    }}'
}}
count=0
for name in models--*; do
  case $name in *[!A-Za-z0-9._-]*) continue ;; esac
  if [ -L "$name" ]; then
    printf 'link\\t%s\\t%s\\n' "$name" "$(readlink -- "$name" | tr '\\n\\t' '  ')"
    continue
  fi
  [ -d "$name" ] || continue
  count=$((count + 1))
  if [ "$count" -gt {repos} ]; then echo more; break; fi
  own=no; [ -w "$name" ] && [ -x "$name" ] && own=yes
  printf 'repo\\t%s\\t%s\\t%s\\n' "$own" "$(stat -c %U -- "$name")" "$name"
  find "./$name" -printf '%y\\t%s\\t%b\\t%A@\\t%T@\\t%P\\t%l\\t%u\\n' 2>/dev/null | sum
  if [ -d "$name/refs" ] && [ ! -L "$name/refs" ]; then
    (cd -- "$name/refs" && grep -r -E -o '^[0-9a-f]{{40}}$' . 2>/dev/null | head -n {revisions} | sed 's/^/ref\\t/')
  fi
done
echo end
"""


@dataclass(frozen=True, slots=True)
class StoredRevision:
    """One revision of a model in a cache: how many files it names, and their bytes. `lost` files have no content."""

    commit: Commit
    files: int
    size: int
    lost: int = 0
    refs: tuple[str, ...] = ()
    """The names that mean this commit: `main`."""


@dataclass(frozen=True, slots=True)
class StoredRepo:
    """A model in a cache. Sizes are bytes on the disk, times are Unix seconds by the host's clock (0: not known)."""

    repo: str
    size: int = 0
    changed: float = 0.0
    """When its newest file was written."""
    read: float = 0.0
    """When one of its files was last read, as far as the disk keeps that: most disks note it once a day."""
    revisions: tuple[StoredRevision, ...] = ()
    parts: int = 0
    """Files that downloads and transfers have left unfinished."""
    partial: int = 0
    """Bytes of these."""
    busy: int = 0
    """How many of them have grown in the last ten minutes."""
    owners: tuple[str, ...] = ()
    """The users whose files these are."""
    writable: bool = True
    leads: str = ""
    """Where a link in place of the folder leads; empty for a folder. Nothing behind a link is listed or removed."""

    @property
    def folder(self) -> str:
        """The name of its folder in the cache."""
        return folder_name(self.repo)


@dataclass(frozen=True, slots=True)
class HostStore:
    """A model cache. `hub` is the real path of the folder with the models, empty where the host has none."""

    hub: str
    now: float
    user: str
    boot_id: str
    place: str = ""
    """Device and number of the folder, which tell whether two names mean one cache."""
    source: str = ""
    """What its disk is mounted from, as `df` says: a device of its own, or `nas:/models`; empty where not known."""
    disk_free: int | None = None
    disk_total: int | None = None
    repos: tuple[StoredRepo, ...] = ()
    lease: bytes | None = None
    """The owner of the host's lease as the host has it, JSON of anybody; None where there is no lease."""
    lease_age: int = 0
    """Seconds since the lease was renewed."""
    cut_short: bool = False
    """Whether there is more than was listed."""

    @property
    def on_network(self) -> bool:
        """Whether its disk is one of a network, which other hosts may have, too: NFS, Lustre, SSHFS or SMB."""
        return ":" in self.source or self.source.startswith("//")


# The cache that engines in containers get: see the probe.
_OWN = '"${{HF_HOME:-${{XDG_CACHE_HOME:-$HOME/.cache}}/huggingface}}/hub"'


async def list_store(transport: Transport, hub: str = "") -> HostStore:
    """What the folder `hub` of a host holds (`~` is its home); without one, that of the host's own cache.

    Raises `LinkLost`, `HostError`.
    """
    place = shell.path_word(hub) if hub else shell.script(_OWN)
    script = shell.script(_LIST, hub=place, fresh=FRESH, revisions=MOST_REVISIONS, repos=MOST_REPOS)
    result = await transport.run(script, timeout=TIMEOUT)
    if result.outcome is Outcome.LOST:
        raise LinkLost("the connection was lost while the model cache was listed", host=transport.name)
    if not result.ok or not result.stdout.rstrip().endswith("end"):
        said = clean_line(result.stderr.strip().rpartition("\n")[2]) or result.outcome.value
        raise HostError(f"the model cache cannot be listed: {shorten(said, _MOST_WORDS)}", host=transport.name)
    return read_store(result.stdout)


@dataclass(slots=True)
class _Repo:
    """A model while its lines are read."""

    folder: str
    owners: list[str]
    writable: bool
    leads: str = ""
    figures: dict[str, int] = field(default_factory=dict)
    revisions: list[tuple[Commit, int, int, int]] = field(default_factory=list)
    refs: dict[str, list[str]] = field(default_factory=dict)

    def whole(self) -> StoredRepo:
        revisions = []
        for commit, files, size, lost in sorted(self.revisions):
            revisions.append(StoredRevision(commit, files, size, lost, tuple(sorted(self.refs.get(commit, ())))))
        return StoredRepo(
            repo=repo_of(self.folder),
            size=self.figures.get("size", 0),
            changed=float(self.figures.get("changed", 0)),
            read=float(self.figures.get("read", 0)),
            revisions=tuple(revisions),
            parts=self.figures.get("parts", 0),
            partial=self.figures.get("partial", 0),
            busy=self.figures.get("busy", 0),
            owners=tuple(dict.fromkeys(self.owners))[:_MOST_OWNERS],
            writable=self.writable,
            leads=self.leads,
        )


def repo_of(folder: str) -> str:
    """The repository whose folder in a cache has this name: names of the Hub have no `--` of their own."""
    return folder.removeprefix("models--").replace("--", "/")


def read_store(text: str) -> HostStore:
    """The script's answer. What is not of its form is left out: a host may say anything."""
    values: dict[str, tuple[str, ...]] = {}
    repos: list[_Repo] = []
    for word, cells in _rows(text):
        if word in ("repo", "link"):
            made = _begun(word, cells)
            if made is not None and len(repos) < MOST_REPOS:
                repos.append(made)
        elif word in ("sum", "parts", "rev", "ref", "owner"):
            if repos:
                _add(repos[-1], word, cells)
        else:
            values.setdefault(word, cells)
    disk = values.get("disk", ("",))[0].split()
    place, hub = (*values.get("hub", ()), "", "")[:2]
    age, owner = (*values.get("lease", ()), "", "")[:2]
    return HostStore(
        hub=clean_line(hub),
        now=float(_number(values.get("now", ("",))[0])),
        user=clean_line(values.get("user", ("",))[0]),
        boot_id=clean_line(values.get("boot", ("",))[0]),
        place=clean_line(place),
        source=shorten(clean_line(next(iter(disk), "")), _MOST_WORDS),
        disk_free=_kib(disk, 3),
        disk_total=_kib(disk, 1),
        repos=tuple(repo.whole() for repo in repos),
        lease=_decoded(owner) if "lease" in values else None,
        lease_age=_number(age),
        cut_short="more" in values,
    )


def _rows(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in text.splitlines():
        word, *cells = line.split("\t")
        yield word, tuple(cells)


def _begun(word: str, cells: tuple[str, ...]) -> _Repo | None:
    """The model whose lines follow; None where the line names no folder of a model."""
    if word == "link" and len(cells) == 2 and _FOLDER.fullmatch(cells[0]):
        return _Repo(cells[0], [], False, leads=shorten(clean_line(cells[1]), _MOST_WORDS) or "?")
    if word == "repo" and len(cells) == 3 and _FOLDER.fullmatch(cells[2]):
        return _Repo(cells[2], [shorten(clean_line(cells[1]), _MOST_WORDS)], cells[0] == "yes")
    return None


def _add(repo: _Repo, word: str, cells: tuple[str, ...]) -> None:
    if word == "owner" and cells:
        repo.owners.append(shorten(clean_line(cells[0]), _MOST_WORDS))
    elif word == "ref" and cells:
        name, _, commit = cells[0].removeprefix("./").rpartition(":")
        if identifiers.relative_path(name) is not None:
            repo.refs.setdefault(commit, []).append(name)
    elif word == "rev" and len(cells) == 4:
        known = identifiers.commit(cells[0])
        if known is not None and len(repo.revisions) < MOST_REVISIONS:
            repo.revisions.append((known, _number(cells[1]), _number(cells[2]), _number(cells[3])))
    elif len(cells) == 3:
        names = ("size", "changed", "read") if word == "sum" else ("parts", "partial", "busy")
        repo.figures.update(zip(names, map(_number, cells), strict=True))


def _number(text: str) -> int:
    """A figure of the script; 0 for what is none."""
    return whole(text, least=0) or 0


def _kib(columns: list[str], place: int) -> int | None:
    """A column of a line of `df`, in bytes; None where there is none."""
    if len(columns) < 4:
        return None
    count = whole(columns[place], least=0)
    if count is None:
        return None
    return count * _KIB


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
