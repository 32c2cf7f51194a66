"""What a host's Hugging Face cache says of a model: read within the probe, in its one round trip.

A host may say anything: what comes back is bounded here, and only parsed in a process of its own.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from sparkrun_tui.base import shell
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.models.snapshot import folder_name

MOST_MODELS = 3
"""A model, its drafter, and one to spare."""
MOST_FILES = 1000
MOST_SMALL = 200_000
"""Bytes of a configuration."""
MOST_HEADERS = 16 << 20
"""Bytes of all headers of a model before they are packed; the largest models have twelve."""
MOST_PACKED = 210_000
"""Bytes of them packed: of an answer one MiB is kept, and it holds up to three models, as base64."""
FIRST_BYTES = 450_000
"""Bytes of a GGUF, before packing: the keys of its architecture come first."""
SECONDS = 8
"""For which headers are read: a slow file system does not hold up the probe."""

_LENGTH = 8

# Whoever may write to the cache chooses names of files: one of several lines would pass for other facts of the host.
_FUNCTION = r"""
packed() {{ gzip -c | head -c {packed} | base64 | tr -d '\n'; }}
headers() {{
  for file in "$1"/*.safetensors; do
    plain "$file" || continue
    [ "$(date +%s)" -le "$until" ] || return 0
    length=$(limit 5 od -An -v -tu8 -N8 <"$file" | tr -d ' \n')
    case $length in ''|*[!0-9]*|?????????*) return 0 ;; esac
    limit 5 head -c "$((8 + length))" <"$file" || return 0
  done
}}
plain() {{ case $1 in *[[:cntrl:]]*) return 1 ;; esac; [ -f "$1" ]; }}
cached() {{
  folder=${{6:-$hf}}/hub/$2; commit=$3
  [ -n "$commit" ] || ! [ -f "$folder/refs/$4" ] || commit=$(limit 5 head -c 64 -- "$folder/refs/$4" 2>/dev/null)
  at=$folder/snapshots/$commit
  case $commit in *[!0-9a-f]*) return 0 ;; esac
  [ -n "$commit" ] && [ -d "$at" ] || return 0
  spare={seconds}; until=$(($(date +%s) + spare)); count=0
  printf 'commit\t%s\t%s\n' "$1" "$commit"
  for file in "$at"/*.safetensors "$at"/*.gguf "$at"/*/*.gguf; do
    plain "$file" || continue
    count=$((count + 1)); [ "$count" -le {files} ] || break
    printf 'file\t%s\t%s\t%s\n' "$1" "$(stat -L -c %s -- "$file")" "${{file#"$at"/}}"
  done
  for small in config.json hf_quant_config.json; do
    [ -f "$at/$small" ] || continue
    printf 'small\t%s\t%s\t%s\n' "$1" "$small" "$(limit 5 head -c {small} <"$at/$small" | packed)"
  done
  first=
  for file in "$at"/$5 "$at"/*/$5; do [ -n "$5" ] && [ -z "$first" ] && plain "$file" && first=$file; done
  if [ -n "$first" ]; then
    printf 'first\t%s\t%s\t%s\n' "$1" "${{first#"$at"/}}" "$(limit 5 head -c {first} <"$first" | packed)"
  elif [ -z "$5" ]; then
    printf 'headers\t%s\t%s\n' "$1" "$(headers "$at" | head -c {headers} | packed)"
  fi
}}
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model that is asked for: its repository, a revision (empty: `main`), and the quantisation of a GGUF."""

    repo: str
    revision: str = ""
    quant: str = ""
    cache: str = ""
    """The folder of the Hugging Face cache; empty where the host's own is meant."""


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A model in a host's cache as the host says; bytes are unchecked."""

    commit: str
    sizes: Mapping[str, int] = field(default_factory=dict)
    """The bytes of its weight files, by their path in the snapshot."""
    starts: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """How files begin: configurations in full, weights as far as their headers go."""


def question(wanted: Sequence[Wanted]) -> shell.Text:
    """The part of the probe's script that asks for models; `$hf` is the cache, `limit` ends slow commands."""
    if not wanted:
        return shell.script("")
    asked = [
        shell.script(
            "cached {number} {folder} {commit} {ref} {pattern} {cache}\n",
            number=number,
            folder=folder_name(model.repo),
            commit=identifiers.commit(model.revision) or "",
            ref=model.revision or "main",
            pattern=_pattern(model.quant),
            cache=shell.path_word(model.cache.rstrip("/")) if model.cache else "",
        )
        for number, model in enumerate(wanted[:MOST_MODELS])
    ]
    function = shell.script(
        _FUNCTION,
        packed=MOST_PACKED,
        seconds=SECONDS,
        files=MOST_FILES,
        small=MOST_SMALL,
        first=FIRST_BYTES,
        headers=MOST_HEADERS,
    )
    body = shell.script("echo '[[models'\n{asked}echo ']]'\n", asked=shell.joined(asked))
    return shell.joined([function, body])


def _pattern(quant: str) -> str:
    """The glob of the first part of a GGUF; the shell expands it, so nothing but a quantisation's letters is in it."""
    letters = "".join(letter for letter in quant if letter.isalnum() or letter in "_-")
    return f"*{letters}*.gguf" if letters else ""


def answers(lines: Sequence[str], wanted: Sequence[Wanted]) -> dict[Wanted, CachedModel]:
    """The models in the lines of the answer. What is not of its form, or too much, is left out."""
    commits: dict[int, str] = {}
    sizes: dict[int, dict[str, int]] = {}
    starts: dict[int, dict[str, bytes]] = {}
    for line in lines:
        word, number, cells = _cells(line, len(wanted))
        if number is None:
            continue
        if word == "commit" and (commit := identifiers.commit(cells[0])):
            commits[number] = commit
        elif word == "file" and len(cells) == 2:
            size, name = identifiers.size(cells[0]), identifiers.relative_path(cells[1])
            if size is not None and name is not None and len(sizes.setdefault(number, {})) < MOST_FILES:
                sizes[number][name] = size
        elif word in ("small", "first") and len(cells) == 2 and identifiers.relative_path(cells[0]):
            most = MOST_SMALL if word == "small" else FIRST_BYTES
            starts.setdefault(number, {})[cells[0]] = unpacked(cells[1], most)
        elif word == "headers":
            names = [name for name in sizes.get(number, {}) if name.endswith(".safetensors")]
            starts.setdefault(number, {}).update(split(unpacked(cells[0], MOST_HEADERS), names))
    return {
        wanted[number]: CachedModel(commit, sizes.get(number, {}), starts.get(number, {}))
        for number, commit in commits.items()
    }


def _cells(line: str, count: int) -> tuple[str, int | None, list[str]]:
    """The word of a line, the number of the model that it is about (None: none of them), and the rest."""
    word, *cells = line.split("\t", 3)
    if len(cells) < 2:
        return word, None, []
    return word, whole(cells[0], least=0, most=count - 1), cells[1:]


def unpacked(text: str, most: int) -> bytes:
    """The bytes in base64 of gzip, at most `most`; what cannot be read ends them."""
    try:
        data = base64.b64decode(text[: (len(text) // 4) * 4], validate=True)
    except (binascii.Error, ValueError):
        return b""
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        return reader.decompress(data, most)
    except zlib.error:
        return b""


def split(data: bytes, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Each file's name with its beginning, from headers that lie one behind the other; only whole ones."""
    at = 0
    for name in sorted(names):
        length = int.from_bytes(data[at : at + _LENGTH], "little")
        end = at + _LENGTH + length
        if len(data) - at < _LENGTH or end > len(data):
            return
        yield name, data[at:end]
        at = end
