#!/usr/bin/env bash
# sparkrun 0.4.2: `-o speculative_config.num_speculative_tokens=5` turns the JSON of a recipe into Python's spelling of a
# mapping, and so does a default that is written as a mapping.
#
# Why it matters: `-o key.field=value` is there to set one field of such a value, also where the recipe has it as JSON
# text, and most recipes pass it as `--speculative-config '{speculative_config}'`. What stands in the command then is
# {'method': 'mtp', ...}; the shell takes the quotes away, and vLLM refuses the rest. Nothing is said before. In a
# command that sparkrun builds itself, since the recipe has none, the same value is JSON.
#
# Seen on Python 3.12, the last word of the command as the engine gets it:
#   JSON text in defaults                          {"method":"mtp","num_speculative_tokens":3}
#   the same with the field overridden             {method: mtp, num_speculative_tokens: 5}
#   a mapping in defaults                          {method: mtp, num_speculative_tokens: 3}
#   a mapping, overridden, recipe without command  {"method":"mtp","num_speculative_tokens":5}
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
import json
import shlex

from sparkrun.core.recipe import Recipe
from sparkrun.runtimes.vllm_distributed import VllmDistributedRuntime

TEXT = '{"method":"mtp","num_speculative_tokens":3}'
COMMAND = "vllm serve {model} --speculative-config '{speculative_config}'"
OTHER = {"speculative_config.num_speculative_tokens": 5}


def given(value, overrides, command=COMMAND):
    """What the engine gets behind --speculative-config, and whether it is JSON."""
    data = {"model": "o/r", "runtime": "vllm-distributed", "container": "o/image:1"}
    data["defaults"] = {"speculative_config": value}
    if command:
        data["command"] = command
    recipe = Recipe.from_dict(data)
    words = shlex.split(VllmDistributedRuntime().generate_command(recipe, overrides, is_cluster=False))
    word = words[words.index("--speculative-config") + 1]
    try:
        json.loads(word)
    except ValueError:
        return word, False
    return word, True


print("sparkrun", importlib.metadata.version("sparkrun"))
seen = {
    "text": given(TEXT, {}),
    "text, field overridden": given(TEXT, OTHER),
    "mapping": given(json.loads(TEXT), {}),
    "mapping, overridden, no command": given(json.loads(TEXT), OTHER, ""),
}
for case, (word, is_json) in seen.items():
    print(f"{case}: {word} ({'JSON' if is_json else 'not JSON'})")

assert seen == {
    "text": ('{"method":"mtp","num_speculative_tokens":3}', True),
    "text, field overridden": ("{method: mtp, num_speculative_tokens: 5}", False),
    "mapping": ("{method: mtp, num_speculative_tokens: 3}", False),
    "mapping, overridden, no command": ('{"method":"mtp","num_speculative_tokens":5}', True),
}, seen
PYTHON
