"""`status`, `logs`, `ask`, `snippet`, `stop`, `cluster` and `registry` on fake hosts."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.user.settings import load_settings
from sparkrun_tui.fleet import server_keys
from sparkrun_tui.launch.bench.store import keep
from sparkrun_tui.remote.transport import LinkState, LinkStatus
from tests.cli.conftest import Cli
from tests.launch.fakes import FakeCluster
from tests.launch.fakes.transport import FakeTransport
from tests.launch.test_bench import RESULT

BOTH = ("-H", "spark-1,spark-2")


@pytest.fixture
def served(cli: Cli, lab: FakeCluster, pair: str) -> str:
    """The id of a workload on both hosts."""
    done = cli("run", pair, *BOTH, "--json")
    assert done.code == 0, done.err
    return str(done.events[0]["launch_id"])


def test_status_shows_hosts_and_workloads(cli: Cli, lab: FakeCluster, served: str) -> None:
    done = cli("status", *BOTH, "--json")
    assert done.code == 0
    body = done.json
    assert [(host["name"], host["link"]) for host in body["hosts"]] == [("spark-1", "up"), ("spark-2", "up")]
    (item,) = body["workloads"]
    assert (item["launch_id"], item["recipe"], item["health"], item["port"]) == (served, "pair", "serving", 30000)
    assert [(rank["host"], rank["role"], rank["state"]) for rank in item["ranks"]] == [
        ("spark-1", "head", "running"),
        ("spark-2", "worker", "running"),
    ]
    table = cli("status", *BOTH).out
    assert served in table
    assert "serving" in table


def test_a_person_sees_the_hosts_that_answer_before_those_that_do_not(
    cli: Cli, lab: FakeCluster, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal alone: what programs read stays in the order of the hosts."""
    connect = FakeTransport.connect

    async def late(self: FakeTransport) -> None:
        if self.name == "spark-1":
            await asyncio.sleep(3.0)
        await connect(self)

    monkeypatch.setattr(FakeTransport, "connect", late)
    piped = cli("status", *BOTH)
    assert piped.out.index("spark-1") < piped.out.index("spark-2")
    assert "waiting" not in piped.err
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    done = cli("status", *BOTH)
    assert done.code == 0
    assert done.out.index("spark-2") < done.out.index("spark-1") < done.out.index(served)
    assert done.out.count("spark-2  ") == piped.out.count("spark-2  ")
    assert "waiting for spark-1\n" in done.err


def test_a_check_shows_what_a_host_says_and_a_login_shell_that_prints(
    cli: Cli, lab: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = LinkStatus(LinkState.UP, 1.0, says="Be nice.\nAuthorised only.", shell_says="Welcome to DGX OS")
    monkeypatch.setattr(FakeTransport, "link", property(lambda self: link))
    shown = cli("cluster", "check", "-H", "spark-1").out
    assert "spark-1 says: Be nice.\nspark-1 says: Authorised only.\n" in shown
    assert "! spark-1: its login shell prints text into every command" in shown and "Welcome to DGX OS" in shown
    (host,) = cli("cluster", "check", "-H", "spark-1", "--json").json
    assert (host["says"], host["shell_says"]) == ("Be nice.\nAuthorised only.", "Welcome to DGX OS")


def test_a_silent_host_is_unknown_and_exit_code_3(cli: Cli, lab: FakeCluster, served: str) -> None:
    lab[2].unreachable = True
    done = cli("status", *BOTH, "--json")
    assert done.code == 3
    (item,) = done.json["workloads"]
    assert item["health"] == "unknown"
    assert cli("logs", "nothing", *BOTH).code == 3
    assert cli("stop", "nothing", *BOTH).code == 3


@pytest.mark.parametrize("how", ["recipe", "file", "id", "prefix"])
def test_a_workload_is_meant_by_id_or_recipe(cli: Cli, lab: FakeCluster, served: str, how: str) -> None:
    name = {"recipe": "pair", "file": "some/where/pair.yaml", "id": served, "prefix": served[:3]}[how]
    done = cli("stop", name, *BOTH)
    assert (done.code, done.out) == (0, f"{served}: stopped\n")
    assert lab.remaining == []


@pytest.mark.parametrize("how", ["recipe", "id", "prefix"])
@pytest.mark.parametrize("verb", ["stop", "ask"])
def test_a_workload_of_other_hosts_is_pointed_to(cli: Cli, lab: FakeCluster, solo: str, how: str, verb: str) -> None:
    """A stop that asked other hosts, or the same ones as another user, must not look like one that worked."""
    begun = cli("run", solo, "-H", "spark-2", "--json")
    launch_id = str(begun.events[0]["launch_id"])
    name = {"recipe": "solo", "id": launch_id, "prefix": launch_id[:4]}[how]
    done = cli(verb, name, "-H", "spark-1")
    assert done.code == 1
    assert f"{launch_id} (solo) was launched on other hosts: give -H spark-2" in done.err
    lab[1].unreachable = True
    assert "give -H spark-2" in cli(verb, name, "-H", "spark-1").err
    assert cli("stop", name, "-H", "spark-2").code == 0
    lab[1].unreachable = False
    assert "other hosts" not in cli(verb, name, "-H", "spark-1").err


def test_history_knows_of_a_stop_at_once(cli: Cli, lab: FakeCluster, served: str) -> None:
    lab[2].unreachable = True
    assert cli("stop", served, *BOTH).code == 3
    assert cli("history", "list", "--json").json[0]["status"] == "ready"
    lab[2].unreachable = False
    assert cli("stop", served, *BOTH).code == 0
    (past,) = cli("history", "list", "--json").json
    assert (past["launch_id"], past["status"]) == (served, "stopped")


def test_an_ambiguous_name_lists_what_it_may_be(cli: Cli, lab: FakeCluster, solo: str) -> None:
    for host, port in (("spark-1", "8000"), ("spark-2", "8001")):
        assert cli("run", solo, "-H", host, "--port", port).code == 0
    done = cli("stop", "solo", *BOTH)
    assert done.code == 2
    assert "matches 2 workloads" in done.err
    assert len(lab.running) == 2
    assert cli("stop", "nope", *BOTH).code == 1


def test_a_launch_without_containers_is_shown_and_its_lease_ended(cli: Cli, lab: FakeCluster, solo: str) -> None:
    lab[2].lease = "dead2345"
    shown = cli("status", *BOTH)
    assert shown.code == 0 and "spark-2: dead2345 by other@desk is being prepared here" in shown.out
    assert cli("status", *BOTH, "--json").json["hosts"][1]["preparing"]["launch_id"] == "dead2345"
    refused = cli("run", solo, "-H", "spark-2")
    assert refused.code == 1 and "sparkrun-tui stop dead2345" in refused.err
    done = cli("stop", "dead2345", *BOTH)
    assert (done.code, done.out) == (0, "dead2345: no container yet; no longer prepares spark-2\n")
    assert lab[2].lease == ""
    assert cli("run", solo, "-H", "spark-2").code == 0


def test_the_one_that_runs_is_meant_and_not_those_that_have_ended(cli: Cli, lab: FakeCluster, solo: str) -> None:
    first = cli("run", solo, "-H", "spark-1", "--json").events[0]["launch_id"]
    (ended,) = lab[1].containers.values()
    ended.info = replace(ended.info, state="exited", exit_code=255)
    second = cli("run", solo, "-H", "spark-2", "--json").events[0]["launch_id"]
    assert cli("stop", "solo", *BOTH).out == f"{second}: stopped\n"
    assert cli("stop", "solo", *BOTH).out == f"{first}: stopped\n"


def test_stopping_all_needs_a_yes(cli: Cli, lab: FakeCluster, served: str) -> None:
    done = cli("stop", "--all", *BOTH)
    assert done.code == 2
    assert "--yes" in done.err
    assert len(lab.running) == 2
    assert cli("stop", "--all", *BOTH, "--yes").code == 0
    assert lab.remaining == []
    assert cli("stop", "--all", *BOTH, "--yes").out == "nothing to stop\n"
    assert cli("stop", *BOTH).code == 2
    assert cli("stop", "pair", "--all", *BOTH).code == 2


def test_a_stop_that_could_not_ask_a_host_is_not_a_stop(cli: Cli, lab: FakeCluster, served: str) -> None:
    lab[2].unreachable = True
    done = cli("stop", served, *BOTH)
    assert done.code == 3
    assert "not known on spark-2" in done.out
    lab[2].unreachable = False
    assert cli("stop", served, *BOTH).code == 0
    assert lab.remaining == []


def test_logs_of_each_host_and_of_one(cli: Cli, lab: FakeCluster, served: str) -> None:
    done = cli("logs", served, *BOTH)
    assert done.code == 0
    assert {line.partition(": ")[0] for line in done.out.splitlines()} == {"spark-1", "spark-2"}
    one = cli("logs", served, *BOTH, "--host", "spark-2", "--tail", "1")
    assert one.out.splitlines() == ["INFO 01-01 00:00:05 [x.py:1] Loading weights took 5.00 seconds"]
    lines = cli("logs", served, *BOTH, "--json").events
    assert set(lines[0]) == {"kind", "host", "time", "stream", "text"}
    assert cli("logs", served, *BOTH, "--host", "nowhere").code == 2


def test_logs_of_what_is_gone_come_from_here(cli: Cli, lab: FakeCluster, served: str) -> None:
    assert cli("stop", served, *BOTH).code == 0
    done = cli("logs", served, *BOTH)
    assert done.code == 0
    assert "Loading weights took" in done.out
    assert "last known state" in done.err


def test_asking_prints_the_answer_as_it_comes(cli: Cli, lab: FakeCluster, served: str) -> None:
    lab.answer = [_chunk({"content": "Hel"}), _chunk({"content": "lo\x1b[31m"}), b"data: [DONE]\n\n"]
    done = cli("ask", "pair", "How", "are", "you?", *BOTH)
    assert (done.code, done.out) == (0, "Hello\n")
    lab.answer = [b'data: {"error": {"message": "out of patience"}}\n\n']
    refused = cli("ask", "pair", *BOTH)
    assert refused.code == 3
    assert "out of patience" in refused.err


def test_asking_with_a_system_prompt_keeps_reasoning_apart(cli: Cli, lab: FakeCluster, served: str) -> None:
    lab.answer = [_chunk({"reasoning_content": "They greet."}), _chunk({"content": "Hello"}), b"data: [DONE]\n\n"]
    done = cli("ask", "pair", "Hi", "--system", "Be brief.", "--temperature", "0.5", "--max-tokens", "9", *BOTH)
    assert (done.code, done.out) == (0, "Hello\n")
    assert done.err.startswith("They greet.\n")
    body = json.loads(next(call.body for call in lab.http.calls if call.path == "/v1/chat/completions"))
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert (body["temperature"], body["max_tokens"]) == (0.5, 9)


def test_code_for_a_workload(cli: Cli, lab: FakeCluster, served: str) -> None:
    for kind, words in (
        ("curl", "chat/completions"),
        ("python", "OpenAI("),
        ("js", "new OpenAI"),
        ("litellm", "api_base"),
    ):
        done = cli("snippet", "pair", "--as", kind, *BOTH)
        assert done.code == 0 and words in done.out, done.err
        assert "127.0.0.1" not in done.out, "it is called from other machines"
    assert cli("snippet", "pair", *BOTH).out.startswith("curl ")
    assert cli("snippet", "nothing", *BOTH).code != 0


def test_code_for_a_server_with_a_key_does_not_print_it(
    cli: Cli, lab: FakeCluster, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(*_: object) -> Secret:
        return Secret("canary-key-Zq8vT3")

    monkeypatch.setattr(server_keys, "key_of", found)
    done = cli("snippet", "pair", *BOTH)
    assert '"${API_KEY}"' in done.out and "set API_KEY" in done.err
    assert "canary" not in done.out + done.err


def _chunk(delta: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n"


def test_clusters_are_saved_used_and_forgotten(cli: Cli, lab: FakeCluster) -> None:
    assert cli("cluster", "add", "lab", "spark-1,spark-2", "--description", "two").code == 0
    assert cli("cluster", "add", "one", "spark-1", "--gpus", "2").code == 0
    found = {item["name"]: item for item in cli("cluster", "list", "--json").json}
    assert found["lab"]["hosts"] == ["spark-1", "spark-2"]
    assert (found["lab"]["default"], found["one"]["default"]) == (True, False)
    assert found["one"]["gpus_per_host"] == 2
    assert [host["name"] for host in cli("status", "--json").json["hosts"]] == ["spark-1", "spark-2"]
    assert len(cli("status", "--cluster", "one", "--json").json["hosts"]) == 1
    assert cli("cluster", "remove", "lab").code == 0
    assert [cluster.name for cluster in load_settings().clusters] == ["one"]
    assert cli("cluster", "remove", "lab").code == 2
    assert cli("cluster", "add", "bad", "-x").code == 2
    assert cli("cluster", "add", "bad", "a,a").code == 2


def programs(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let this machine have these programs alone."""
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_checking_a_cluster_shows_what_each_host_says(
    cli: Cli, lab: FakeCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs(tmp_path, monkeypatch, "ssh", "rsync")
    cli("cluster", "add", "lab", "spark-1", "spark-2")
    done = cli("cluster", "check", "lab", "--json")
    assert done.code == 0
    assert [(host["host"], host["error"]) for host in done.json] == [("spark-1", None), ("spark-2", None)]
    assert done.json[0]["memory_total"] == lab[1].facts.memory_total
    assert cli("cluster", "check").out.splitlines()[1].startswith("spark-1")
    assert done.json[0]["findings"] == []
    lab[2].facts = replace(lab[2].facts, docker_access="not running")
    broken = cli("cluster", "check")
    assert broken.code == 1
    assert "✗ spark-2: Docker cannot be used: not running, needed: access\n" in broken.out
    assert "On spark-2: sudo systemctl start docker" in broken.out
    (finding,) = cli("cluster", "check", "--json").json[1]["findings"]
    assert (finding["code"], finding["verdict"]) == ("docker", "fail")
    lab[2].unreachable = True
    silent = cli("cluster", "check")
    assert silent.code == 3
    assert "no answer" in silent.out
    assert "spark-2" in silent.err


def test_checking_a_cluster_checks_this_machine_too(
    cli: Cli, lab: FakeCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cli("cluster", "add", "lab", "spark-1")
    programs(tmp_path, monkeypatch)
    done = cli("cluster", "check")
    assert done.code == 1
    assert "✗ workstation: rsync is not installed" in done.out
    assert "On this machine: sudo apt-get install openssh-client" in done.out
    assert "sudo apt-get install rsync" in cli("cluster", "check", "--json").err


def test_registries_are_listed_and_one_that_cannot_be_is_refused(cli: Cli) -> None:
    found = cli("registry", "list", "--json").json
    assert [item["name"] for item in found] == ["spark-arena", "eugr"]
    assert cli("registry", "add", "ext::sh -c id").code == 2
    assert cli("registry", "remove", "nope").code == 2
    assert cli("registry", "update", "nope").code == 2
    assert cli("registry", "remove", "eugr").code == 0
    assert [item["name"] for item in cli("registry", "list", "--json").json] == ["spark-arena"]


def test_a_report_and_a_replay_of_an_earlier_launch(cli: Cli, lab: FakeCluster, served: str) -> None:
    assert cli("stop", served, *BOTH).code == 0
    done = cli("history", "show", served[:4], "--report")
    assert done.code == 0 and done.out.startswith("# pair: ")
    assert "## What happened" in done.out and "spark-1" not in done.out
    shown = cli("history", "replay", "pair", "--speed", "0")
    assert shown.code == 0 and "  0:00  launch " in shown.out and "spark-2: check ok" in shown.out
    with_logs = cli("history", "replay", "pair", "--speed", "0", "--logs", "--json").events
    assert {"began", "step", "log"} <= {event["kind"] for event in with_logs}
    assert cli("history", "show", "pair", "--report", "--json").code == 2
    assert cli("history", "replay", "nope").code == 2


def test_kept_benchmarks_are_listed_shown_and_compared(cli: Cli) -> None:
    keep(RESULT)
    keep(replace(RESULT, id="bcde2345", started=RESULT.started + 60, points=RESULT.points[:1]))
    listed = cli("bench", "list")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["ID", "bcde2345", "abcd2345"]
    assert [item["id"] for item in cli("bench", "list", "--json").json] == ["bcde2345", "abcd2345"]
    shown = cli("bench", "show", "abc").out
    assert "max_model_len=4096" in shown and "NVIDIA GB10, driver 580.95.05, 121.7 GiB" in shown
    assert "20.0 ± 0.1" in shown and "4 at once, 2,048 / 128" in shown
    point = cli("bench", "show", "abc", "--json").json["points"][0]
    assert point["first_token"] == {"mean": 0.5, "deviation": 0.01}
    assert point["between_tokens"] == pytest.approx(0.05)
    assert "20.0 → 20.0" in cli("bench", "compare", "abc", "bcd").out
    assert cli("bench", "compare", "abc", "bcd", "--json").json["changes"][0]["decode_change"] == 0.0
    wrong = cli("bench", "show", "zzz")
    assert wrong.code == 2 and "there is no benchmark `zzz`" in wrong.err


def test_a_benchmark_needs_a_workload_and_a_client(cli: Cli, lab: FakeCluster) -> None:
    for words in (("bench", "nothing-there"), ("bench", "run", "nothing-there")):
        done = cli(*words, "-H", "spark-1")
        assert done.code == 1 and "nothing-there" in done.err
    wrong = cli("bench", "nothing-there", "--concurrency", "0")
    assert wrong.code == 2 and "--concurrency: `0` is not a whole number" in wrong.err
