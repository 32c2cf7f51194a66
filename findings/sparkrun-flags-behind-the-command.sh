#!/usr/bin/env bash
# sparkrun 0.4.2 writes the flags that it adds behind the text of a recipe's command, not behind the engine's arguments.
#
# Why it matters: where a command lacks --served-model-name, sparkrun adds it, also where the recipe names no name. A
# command may be any shell text, and some keep the log with `| tee`, stand in parentheses, or end in a comment. The flag
# then goes to tee, is a syntax error, or is a part of the comment. The flags that join several hosts (--nnodes,
# --node-rank) are added by the same function.
#
# Seen on Python 3.12 for a recipe with `served_model_name: falcon`, run by bash with a program that notes its arguments
# in place of vllm (exit code, and whether the engine got the name):
#   vllm serve {model}                    0, yes
#   vllm serve {model} | tee engine.log   1, no (tee: unrecognized option)
#   (vllm serve {model})                  2, never started (syntax error)
#   vllm serve {model} # tuned            0, no
#
# It needs Python 3.12 or newer, as sparkrun does.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
"${SPARKRUN_PYTHON:-python3}" -c 'import sys; sys.exit("Python 3.12 or newer is needed" if sys.version_info < (3, 12) else 0)'
"${SPARKRUN_PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sparkrun==0.4.2

cd "$folder"
mkdir bin
printf '#!/usr/bin/env bash\nprintf "%%s " "$@" >engine\n' >bin/vllm
chmod +x bin/vllm
HOME=$folder/home "$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import os
import pathlib
import subprocess

from sparkrun.core.recipe import Recipe
from sparkrun.runtimes.vllm_distributed import VllmDistributedRuntime

environment = {**os.environ, "PATH": f"{os.getcwd()}/bin:{os.environ['PATH']}"}


def run(command):
    """The exit code of a recipe's command, and the arguments that the engine got; None where it was not started."""
    data = {"model": "o/r", "runtime": "vllm-distributed", "container": "o/image:1", "command": command}
    data["defaults"] = {"served_model_name": "falcon"}
    text = VllmDistributedRuntime().generate_command(Recipe.from_dict(data), {}, is_cluster=False)
    noted = pathlib.Path("engine")
    noted.unlink(missing_ok=True)
    code = subprocess.run(["bash", "-c", text], env=environment, capture_output=True).returncode
    words = noted.read_text().split() if noted.exists() else None
    print(f"{text}: {code}, {words}")
    return code, words


print("sparkrun", importlib.metadata.version("sparkrun"))
assert run("vllm serve {model}") == (0, ["serve", "o/r", "--served-model-name", "falcon"])
assert run("vllm serve {model} | tee engine.log") == (1, ["serve", "o/r"])
assert run("(vllm serve {model})") == (2, None)
assert run("vllm serve {model} # tuned") == (0, ["serve", "o/r"])
PYTHON
