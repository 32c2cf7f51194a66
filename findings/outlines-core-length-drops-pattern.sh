#!/usr/bin/env bash
# outlines-core 0.2.14: a length beside a pattern makes the pattern of a JSON schema vanish.
#
# Why it matters: vLLM offers outlines as a backend for structured output. A schema that says both what a string consists
# of and how long it is (valid JSON Schema: both hold) is compiled into a regular expression that knows the length only;
# nothing is raised or warned about. So a schema gets weaker when a constraint is added to it.
#
# Seen on Python 3.11: for {"type": "string", "pattern": "^a+$"} the expression takes "aaa" and refuses "zzz";
# with "minLength": 2 added it takes "zzz" and refuses "a".
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
"${SPARKRUN_PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check outlines-core==0.2.14

"$folder/venv/bin/python" - <<'PYTHON'
import json
import re

from outlines_core.json_schema import build_regex_from_schema


def taken(schema):
    expression = build_regex_from_schema(json.dumps(schema))
    words = [word for word in ("a", "aaa", "zzz") if re.fullmatch(expression, json.dumps(word))]
    print(json.dumps(schema), "takes", words)
    return words


pattern = {"type": "string", "pattern": "^a+$"}
assert taken(pattern) == ["a", "aaa"]
assert taken({**pattern, "minLength": 2}) == ["aaa", "zzz"]
PYTHON
