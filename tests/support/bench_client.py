"""A stand-in for llama-benchy's environment: its interpreter is a script that asks the server and writes a report."""

from __future__ import annotations

import sys
from pathlib import Path

from sparkrun_tui.launch.bench import client

_CLIENT = """
import json, os, sys, time, urllib.request
key, *words = json.load(sys.stdin)
value = lambda flag: words[words.index(flag) + 1]
seen = {"argv": open("/proc/self/cmdline").read(), "environ": dict(os.environ), "words": words, "key": key}
with open(os.path.join(os.path.dirname(__file__), "seen.json"), "w") as file:
    json.dump(seen, file)
how = os.environ.get("PATH", "").rpartition(":")[2]
if how == "/refuse":
    print("warming up", file=sys.stderr)
    print("Warmup failed: HTTP 404: \\x1b[31mno such model", file=sys.stderr)
    sys.exit(1)
def say(kind, **fields):
    print(json.dumps({"schema": "llama-benchy-progress.v1", "type": kind, "ts": time.time(), **fields}), flush=True)
say("header")
say("latency_measured", latency_s=0.001, mode="api")
request = urllib.request.Request(value("--base-url") + "/models", headers={"Authorization": "Bearer " + key})
with urllib.request.urlopen(request, timeout=10) as answer:
    served = json.load(answer)["data"][0]["id"]
at = words.index("--concurrency") + 1
levels = []
while at < len(words) and words[at].isdigit():
    levels.append(int(words[at]))
    at += 1
points = []
def figure(mean):
    return {"mean": mean, "std": mean / 100, "values": [mean]}
def point(level):
    return {"concurrency": level, "context_size": 0, "prompt_size": int(value("--pp")),
            "response_size": int(value("--tg")), "is_context_prefill_phase": False,
            "tg_throughput": figure(20.0 * level), "tg_req_throughput": figure(20.0),
            "peak_throughput": figure(25.0 * level),
            "pp_throughput": figure(2000.0), "e2e_ttft": figure(50.0)}
def report():
    with open(value("--save-result"), "w") as file:
        json.dump({"version": "0.4.0", "model": served, "benchmarks": points}, file)
try:
    for level in levels:
        points.append(point(level))
        for number in range(level * int(value("--runs"))):
            say("request_start", request_id=number, prompt_size=int(value("--pp")), response_size=int(value("--tg")),
                context_size=0, concurrency=level, run_index=1)
            say("tokens", request_id=number, count=1, snippet="\\x1b[2J" + "x" * 100)
            say("request_end", request_id=number, total_tokens=33, prompt_tokens=8, decode_seconds=1.6, error="")
        if how == "/wait" and level == levels[0]:
            time.sleep(60)
except KeyboardInterrupt:
    report()
    sys.exit(1)
report()
say("bench_complete", status="ok")
"""


def install_stand_in() -> Path:
    """Put the stand-in where the client's environment belongs; its folder. What it was given is in `seen.json`."""
    place = client.folder() / "bin"
    place.mkdir(parents=True)
    (place / "client.py").write_text(_CLIENT)
    interpreter = client.python()
    interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} {place}/client.py "$@"\n')
    interpreter.chmod(0o755)
    client.stamp()
    return place
