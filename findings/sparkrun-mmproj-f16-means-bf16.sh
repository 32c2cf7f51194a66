#!/usr/bin/env bash
# sparkrun 0.4.2: with `mmproj: F16`, and with no word at all, a GGUF repository's BF16 projector is taken in place of its F16 one.
#
# Why it matters: the order is documented as F16, BF16, F32, F8. But a word is looked for anywhere in the file's name, and
# `mmproj-BF16.gguf` has `f16` in it and comes first in the alphabet. Repositories of vision models often have both files. To get
# F16 its whole name has to be given (`mmproj: mmproj-F16.gguf`).
#
# Seen on Python 3.12 with a cache that holds mmproj-BF16.gguf, mmproj-F16.gguf and mmproj-F32.gguf:
#   no word, auto, F16      mmproj-BF16.gguf
#   mmproj-F16.gguf         mmproj-F16.gguf
#   F32                     mmproj-F32.gguf
# Without the BF16 file, `F16` and no word give mmproj-F16.gguf.
#
# It needs Python 3.12 or newer, as sparkrun does.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
"${SPARKRUN_PYTHON:-python3}" -c 'import sys; sys.exit("Python 3.12 or newer is needed" if sys.version_info < (3, 12) else 0)'
"${SPARKRUN_PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sparkrun==0.4.2

cd "$folder"
HOME=$folder/home "$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import pathlib

from sparkrun.models.download import resolve_mmproj_path

cache = pathlib.Path("cache").absolute()
snapshot = cache / "hub" / "models--o--vision-GGUF" / "snapshots" / ("a" * 40)
snapshot.mkdir(parents=True)
for name in ("vision-Q4_K_M.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf", "mmproj-F32.gguf"):
    (snapshot / name).write_bytes(b"GGUF")


def chosen(word):
    path = resolve_mmproj_path("o/vision-GGUF:Q4_K_M", str(cache), selector=word)
    name = pathlib.Path(path).name
    print(f"{word}: {name}")
    return name


print("sparkrun", importlib.metadata.version("sparkrun"))
assert chosen(None) == "mmproj-BF16.gguf"
assert chosen("auto") == "mmproj-BF16.gguf"
assert chosen("F16") == "mmproj-BF16.gguf"
assert chosen("mmproj-F16.gguf") == "mmproj-F16.gguf"
assert chosen("F32") == "mmproj-F32.gguf"
(snapshot / "mmproj-BF16.gguf").unlink()
assert chosen(None) == "mmproj-F16.gguf"
assert chosen("F16") == "mmproj-F16.gguf"
PYTHON
