#!/usr/bin/env bash
# hf (huggingface_hub 2.4.0): the second word behind --include is a file to download, and then no pattern counts at all.
#
# Why it matters: guides for GGUF and NVFP4 models write `hf download REPO --include "*.json" "*.safetensors"`, which the
# `huggingface-cli` of version 0 took as a list. Now --include takes one pattern and can be repeated; the next word becomes a file
# name, and with a file name all patterns are set aside with a warning. When the word is the name of a file, the command
# succeeds and that one file is all there is.
#
# Seen on Python 3.11 against a repository with config.json, notes.txt and weights.gguf on a local server:
#   --include '*.json' notes.txt             exit code 0, notes.txt alone
#   --include '*.json' '*.txt'               exit code 1, nothing (it asks for a file called *.txt)
#   --include '*.json' --include '*.txt'     exit code 0, config.json and notes.txt
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
"${SPARKRUN_PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check huggingface-hub==2.4.0

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import http.server
import json
import os
import subprocess
import sys
import threading

FILES = {"config.json": b"{}", "notes.txt": b"n", "weights.gguf": b"w"}
COMMIT = "a" * 40


class Hub(http.server.BaseHTTPRequestHandler):
    """The few answers of the Hub that a download of one repository takes."""

    def answer(self, body, code=200, **headers):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.partition("?")[0]
        name = path.rpartition("/")[2]
        if path.startswith("/api/models/o/r/tree/"):
            tree = [{"type": "file", "path": file, "size": len(data), "oid": "0" * 40} for file, data in FILES.items()]
            self.answer(json.dumps(tree).encode(), Content_Type="application/json")
        elif path.startswith("/api/models/o/r"):
            facts = {"_id": "1", "id": "o/r", "sha": COMMIT, "siblings": [{"rfilename": file} for file in FILES]}
            self.answer(json.dumps(facts).encode(), Content_Type="application/json")
        elif path.startswith("/o/r/resolve/") and name in FILES:
            self.answer(FILES[name], ETag=f'"{name}"', X_Repo_Commit=COMMIT)
        else:
            self.answer(b"{}", 404, X_Error_Code="EntryNotFound")

    do_HEAD = do_GET

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
environment = {
    **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
    "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
    "HF_HOME": os.path.abspath("home"),
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
program = os.path.join(os.path.dirname(sys.executable), "hf")


def download(*words):
    to = "-".join(words).replace("*", "x")
    done = subprocess.run([program, "download", "o/r", "--local-dir", to, *words], env=environment, capture_output=True)
    there = sorted(name for name in os.listdir(to) if not name.startswith(".")) if os.path.isdir(to) else []
    print(" ".join(words), "->", done.returncode, there)
    return done.returncode, there


assert download("--include", "*.json", "notes.txt") == (0, ["notes.txt"])
assert download("--include", "*.json", "*.txt") == (1, [])
assert download("--include", "*.json", "--include", "*.txt") == (0, ["config.json", "notes.txt"])
PYTHON
