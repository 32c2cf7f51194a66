"""What a host's Hugging Face cache holds of a model, read without the Hub."""

from __future__ import annotations

import base64
import binascii

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.text import clean_line, decode
from sparkrun_tui.models.snapshot import folder_name
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.hub.cache import INDEX
from sparkrun_tui.remote.hub.lengths import MOST_LISTING, cut_by, listed_sizes
from sparkrun_tui.remote.ports.models import CacheListing, ModelFile
from sparkrun_tui.remote.transport import Outcome, Transport

# Files are listed through the links: a link without its blob is none. Indexes of weights are small and come along, and
# the listing of the repository that the Hub's client keeps. A safetensors file begins with the length of its header in
# eight bytes; the header names the end of each tensor, from which zeros in front are taken: a shell would read those
# digits as octal ones.
_LIST = """\
# sparkrun-tui: cache-list
folder={folder}
commit={commit}
[ -n "$commit" ] || ! [ -f "$folder/refs/"{ref} ] || commit=$(head -c 64 -- "$folder/refs/"{ref} 2>/dev/null)
# Whoever may write to the cache chooses what stands there.
case $commit in *[!0-9a-f]*) exit 0 ;; esac
cd -- "$folder/snapshots/$commit" 2>/dev/null || exit 0
[ -n "$commit" ] || exit 0
printf 'commit\\t%s\\n' "$commit"
for part in "$folder"/blobs/*.incomplete; do [ -e "$part" ] && echo partial; done
find -L . -type f -printf 'file\\t%s\\t%P\\n'
find -L . -type f -name {index} | while IFS= read -r name; do
  printf 'index\\t%s\\t%s\\n' "$(base64 <"$name" | tr -d '\\n')" "${{name#./}}"
done
find -L . -type f -name '*.safetensors' | while IFS= read -r name; do
  length=$(od -An -v -tu8 -N8 <"$name" | tr -d ' \\n')
  [ "${{#length}}" -gt 8 ] && continue
  end=$(tail -c +9 <"$name" | head -c "${{length:-0}}" | tr ']' '\\n' |
    LC_ALL=C sed -n 's/.*"data_offsets": *\\[ *[0-9]* *, *0*\\([0-9]\\{{1,18\\}}\\) *$/\\1/p' | sort -n | tail -n 1)
  printf 'least\\t%s\\t%s\\n' "$((8 + ${{length:-0}} + ${{end:-0}}))" "${{name#./}}"
done
tree=$folder/trees/$commit.json
[ -f "$tree" ] && [ "$(stat -L -c %s -- "$tree")" -lt {most} ] &&
  printf 'tree\\t%s\\n' "$(base64 <"$tree" | tr -d '\\n')"
exit 0
"""


async def listing(transport: Transport, hf_cache: str, repo: str, revision: str) -> CacheListing | None:
    """What the host holds of a revision (empty: `main`); None when it has none. Raises `LinkLost`, `HostError`."""
    return await listing_in(transport, f"{hf_cache.rstrip('/')}/hub", repo, revision)


async def listing_in(transport: Transport, hub: str, repo: str, revision: str) -> CacheListing | None:
    """The same for the folder `hub`, which holds the folders of models."""
    script = shell.script(
        _LIST,
        folder=shell.path_word(f"{hub}/{folder_name(repo)}"),
        commit=identifiers.commit(revision) or "",
        ref=revision or "main",
        index=f"*{INDEX}",
        most=MOST_LISTING,
    )
    result = await transport.run(script, timeout=60.0)
    if result.outcome is Outcome.LOST:
        raise LinkLost("the connection was lost while the model cache was listed", host=transport.name)
    if not result.ok:
        said = clean_line(result.stderr.strip().rpartition("\n")[2]) or result.outcome.value
        raise HostError(f"the model cache cannot be listed: {said}", host=transport.name)
    return read(result.stdout)


def read(text: str) -> CacheListing | None:
    """The script's answer; a host may say anything: what is no commit, and names that could lead elsewhere, are not.

    None without a commit.
    """
    commit, partial = None, False
    files: list[ModelFile] = []
    indexes: dict[str, str] = {}
    least: dict[str, int] = {}
    for line in text.splitlines():
        word, _, rest = line.partition("\t")
        value, _, name = rest.partition("\t")
        if word == "commit":
            commit = identifiers.commit(value)
        elif word == "partial":
            partial = True
        elif word == "tree":
            least |= listed_sizes(_decoded(value))
        elif identifiers.relative_path(name) is None:
            continue
        elif word == "least" and (size := identifiers.size(value)) is not None:
            least[name] = max(size, least.get(name, 0))
        elif word == "file" and (size := identifiers.size(value)) is not None:
            files.append(ModelFile(name, size, cached=True))
        elif word == "index":
            indexes[name] = _decoded(value)
    if commit is None:
        return None
    cut = cut_by([(file.name, file.size) for file in files], least)
    return CacheListing(commit, tuple(sorted(files, key=lambda file: file.name)), indexes, partial, cut)


def _decoded(value: str) -> str:
    try:
        return decode(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        # A character outside of ASCII raises the plain kind.
        return ""
