#!/usr/bin/env bash
# llama-benchy 0.4.0: `--no-cache` makes each prompt unique at its end, not at its beginning.
#
# Why it matters: vLLM and SGLang look up a prompt in their prefix cache from its first token on. What makes requests unique there
# has to stand first; behind the text it is not even seen before all the rest has been found. The option also sends
# `cache_prompt: false`, which only llama-server reads. What keeps prompts apart is that each begins at a random place of the
# text: with a text (`--book-url`) hardly longer than a prompt, every request after the first one is served from the cache, and
# the rate of prompts is that of a look-up. A text many times as long as prompt and depth avoids it.
#
# Seen on Python 3.11 with a text of 50 words, prompts of 50 tokens, three requests:
#   3 requests, 49 of 50 words at the beginning are the same in all, cache_prompt False
#   different in all: the last word
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check llama-benchy==0.4.0 transformers==5.24.0 tokenizers==0.23.3

cd "$folder"
HOME=$folder/home HF_HUB_OFFLINE=1 NO_PROXY=127.0.0.1 "$folder/venv/bin/python" - <<'PYTHON'
import http.server
import importlib.metadata
import json
import subprocess
import sys
import threading

WORDS = [f"w{number}" for number in range(50)]
asked = []


class Server(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, body, kind="application/json"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(" ".join(WORDS).encode(), "text/plain")

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked.append(request)
        pieces = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in ("one ", "two ")]
        usage = {"choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": 2, "total_tokens": 52}}
        lines = [f"data: {json.dumps(piece)}\n\n" for piece in (*pieces, usage)]
        self.answer("".join([*lines, "data: [DONE]\n\n"]).encode(), "text/event-stream")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
vocabulary = {"[UNK]": 0} | {word: at + 1 for at, word in enumerate(WORDS)}
tokenizer = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
    "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
}
with open("tokenizer.json", "w") as file:
    json.dump(tokenizer, file)

words = ["--base-url", f"{address}/v1", "--model", "a/b", "--tokenizer", "tokenizer.json", "--book-url", f"{address}/book"]
words += ["--no-cache", "--pp", "50", "--tg", "2", "--runs", "3", "--concurrency", "1"]
words += ["--no-warmup", "--no-adapt-prompt", "--skip-coherence", "--latency-mode", "none"]
subprocess.run([sys.executable, "-m", "llama_benchy", *words], check=True, stdout=subprocess.DEVNULL)

print("llama-benchy", importlib.metadata.version("llama-benchy"))
prompts = [request["messages"][-1]["content"].split() for request in asked]
same = 0
while len({tuple(prompt[: same + 1]) for prompt in prompts}) == 1:
    same += 1
sent = {request["cache_prompt"] for request in asked}
print(f"{len(prompts)} requests, {same} of {len(prompts[0])} words at the beginning are the same in all, cache_prompt {sent.pop()}")
print("different in all: the last word" if len({prompt[-1] for prompt in prompts}) == len(prompts) else "not unique")
assert len(prompts) == 3
assert same == len(prompts[0]) - 1 == 49
assert len({prompt[-1] for prompt in prompts}) == 3
PYTHON
