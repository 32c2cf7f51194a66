"""`run`: the dry run, launches on fake hosts, how they end, and the consent that foreign recipes need."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.base.units import GIB
from sparkrun_tui.cli.overriding import SHORT, Short
from sparkrun_tui.engines.fields.declared import FIELDS
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import (
    Diagnosed,
    EngineFact,
    LinkChanged,
    MemorySeen,
    Progressed,
    StepChanged,
    StepState,
)
from sparkrun_tui.launch.record.narration import Narrator, diagnosis_lines
from tests.cli.conftest import Cli
from tests.launch.fakes import SOLO, FakeCluster, FakeContainer, FakeHost
from tests.support.programs import need


def test_the_dry_run_needs_no_cluster_and_no_network(cli: Cli, no_hosts: None, pair: str) -> None:
    done = cli("run", pair, "--dry-run")
    assert done.code == 0, done.err
    assert done.out.startswith("# no cluster is chosen")
    places = [line for line in done.out.splitlines() if line.startswith("# ---- on ")]
    assert places == ["# ---- on this machine (workstation)", "# ---- on spark-1", "# ---- on spark-2"]
    assert "docker pull registry.test/engine:1" in done.out


def test_the_dry_run_names_the_given_hosts_in_order(cli: Cli, no_hosts: None, pair: str) -> None:
    done = cli("run", pair, "--dry-run", "-H", "me@two,one", "-o", "port=9000")
    assert "# ---- on me@two\n" in done.out
    twice = cli("run", pair, "--dry-run", "-H", "me@two", "-H", "one", "-o", "port=9000")
    places = [line for line in twice.out.splitlines() if line.startswith("# ---- on ")]
    assert places == [line for line in done.out.splitlines() if line.startswith("# ---- on ")]
    assert done.out.index("# ---- on me@two") < done.out.index("# ---- on one")
    assert "--port 9000" in done.out
    assert "no cluster" not in done.out


def test_every_line_of_the_dry_run_is_shell(cli: Cli, no_hosts: None, pair: str) -> None:
    script = cli("run", pair, "--dry-run", "-H", "one,two").out
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_dry_run_for_scripts_has_the_same_commands(cli: Cli, no_hosts: None, pair: str) -> None:
    body = cli("run", pair, "--dry-run", "-H", "one,two", "--json").json
    assert body["hosts"] == ["one", "two"]
    text = cli("run", pair, "--dry-run", "-H", "one,two").out.replace("sparkrun-tui-", "")
    starts = [command for command in body["commands"] if command["phase"] == "start"]
    assert {command["host"] for command in starts} == {"one", "two"}
    pulls = [command["text"] for command in body["commands"] if command["phase"] == "image"]
    assert pulls
    assert all(pull in text for pull in pulls)


def test_hosts_from_a_file(cli: Cli, no_hosts: None, pair: str, tmp_path: Path) -> None:
    path = tmp_path / "hosts.txt"
    path.write_text("# the rack\n\n  me@two  # the head\none\n")
    done = cli("run", pair, "--dry-run", "--json", "--hosts-file", str(path))
    assert json.loads(done.out)["hosts"] == ["me@two", "one"]
    both = cli("run", pair, "--dry-run", "-H", "three", "--hosts-file", str(path))
    assert (both.code, both.out) == (2, "")
    for text in ("# nobody\n", "two words\n"):
        path.write_text(text)
        done = cli("run", pair, "--dry-run", "--hosts-file", str(path))
        assert (done.code, done.out) == (2, "")
    missing = cli("run", pair, "--dry-run", "--hosts-file", str(tmp_path / "none.txt"))
    assert missing.code == 2 and "none.txt" in missing.err


def test_secrets_are_not_in_the_dry_run(
    cli: Cli, no_hosts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnopqrstuvwxyz")
    path = tmp_path / "secret.yaml"
    path.write_text(f'{SOLO}env: {{HF_TOKEN: "${{HF_TOKEN}}"}}\n')
    done = cli("run", str(path), "--dry-run")
    assert done.code == 0
    assert "hf_abc" not in done.out + done.err
    assert "hf_abc" not in cli("run", str(path), "--dry-run", "--json").out


def test_a_dry_run_that_cannot_be_launched_says_why(cli: Cli, no_hosts: None, pair: str) -> None:
    done = cli("run", pair, "--dry-run", "--solo")
    assert done.code == 1
    assert "needs at least 2 hosts" in done.err
    one = cli("run", pair, "--dry-run", "-H", "alone")
    assert one.code == 1


@pytest.mark.parametrize(
    "line",
    [
        "run RECIPE --solo --dry-run",
        "run RECIPE -H host1,host2 --dry-run",
        "run RECIPE -o port=9000 --dry-run",
        "run RECIPE --port 9000 --tp 1 --gpu-mem 0.5 --dry-run",
        "run RECIPE -n --tensor-parallel 1 --gpu-memory-utilization 0.5 --max-model-len 4096",
        "run RECIPE -o max_model_len=4096 -o served_model_name=other -o host=127.0.0.1 --dry-run",
        "show RECIPE",
        "recipe validate RECIPE",
        "recipe vram RECIPE",
    ],
)
def test_the_command_lines_of_the_format_work(cli: Cli, no_hosts: None, line: str) -> None:
    done = cli(*shlex.split(line.replace("RECIPE", "qwen3-1.7b-vllm")))
    assert done.code == 0, done.err
    assert done.out or "validate" in line


@pytest.mark.parametrize("option", SHORT, ids=lambda option: option.key)
def test_every_spelling_of_a_short_option_sets_its_key(cli: Cli, no_hosts: None, tmp_path: Path, option: Short) -> None:
    value = {"gpu_memory_utilization": "0.5", "served_model_name": "other"}.get(option.key, "1")
    path = tmp_path / "all.yaml"
    path.write_text(f"{SOLO}command: vllm serve {{model}} --value {{{option.key}}}\n")
    for given in (("-o", f"{option.key}={value}"), *((word, value) for word in option.spellings)):
        done = cli("show", str(path), *given, "--json")
        assert json.loads(done.out)["command"].strip().endswith(f"--value {value}")


def test_the_form_names_the_short_option_of_each_key() -> None:
    assert {option.key: option.spellings[0] for option in SHORT} == {
        key: field.option for key, field in FIELDS.items() if field.option
    }


def test_a_launch_that_serves(cli: Cli, lab: FakeCluster, pair: str) -> None:
    done = cli("run", pair, "-H", "spark-1,spark-2")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "pair (sglang) on spark-1, spark-2" in lines[0]
    assert lines[-1].startswith("ready: http://")
    assert lines[-1].endswith(":30000/v1 (model tiny)")
    assert len(lab.running) == 2
    assert len(lines) == len({line[8:] for line in lines})


def test_warnings_are_told_before_a_launch(cli: Cli, lab: FakeCluster, solo: str) -> None:
    Path(solo).write_text(Path(solo).read_text() + "executor: podman\n")
    done = cli("run", solo, "-H", "spark-1")
    assert done.code == 0, done.err
    assert f"{solo}:" in done.err and "warning: `executor`" in done.err


def test_errors_of_the_recipe_stop_a_launch(cli: Cli, lab: FakeCluster, solo: str) -> None:
    Path(solo).write_text(Path(solo).read_text() + "env:\n  MODEL: {model}\n")
    for more in ((), ("--dry-run",)):
        done = cli("run", solo, "-H", "spark-1", *more)
        assert done.code == 1 and "`env.MODEL` must be text" in done.err
    assert lab.running == []


def test_events_as_json_lines(cli: Cli, lab: FakeCluster, solo: str) -> None:
    done = cli("run", solo, "-H", "spark-1", "--json")
    assert done.code == 0, done.err
    kinds = [event["kind"] for event in done.events]
    assert kinds[0] == "began"
    assert done.events[-1] == {**done.events[-1], "kind": "status", "status": "ready"}
    assert [event["seq"] for event in done.events] == list(range(1, len(kinds) + 1))
    assert next(event for event in done.events if event["kind"] == "endpoint")["model"] == "tiny"


def test_solo_uses_the_first_host_alone(cli: Cli, lab: FakeCluster, solo: str) -> None:
    assert cli("run", solo, "-H", "spark-2,spark-1", "--solo").code == 0
    assert [host.running != [] for host in lab.hosts.values()] == [False, True]


def _fill(lab: FakeCluster, number: int, free_gib: float) -> None:
    lab[number].facts = replace(lab[number].facts, memory_available=int(free_gib * GIB))


def test_of_a_cluster_an_idle_host_is_taken_when_the_first_one_is_busy(
    cli: Cli, lab: FakeCluster, tmp_path: Path
) -> None:
    path = tmp_path / "sized.yaml"
    path.write_text(SOLO + "metadata: {model_params: 8B, model_dtype: bf16, num_layers: 32}\n")
    assert cli("cluster", "add", "lab", "spark-1,spark-2").code == 0
    _fill(lab, 1, 5)
    _fill(lab, 2, 110)
    done = cli("run", str(path))
    assert "launching on spark-2: spark-1 has less free memory" in done.err
    assert "on spark-2" in done.out.splitlines()[0]
    for chosen in (("-H", "spark-1"), ("--solo",)):
        named = cli("run", str(path), *chosen)
        assert "launching on" not in named.err and "on spark-1" in named.out.splitlines()[0]


def test_of_a_cluster_the_first_host_is_taken_while_it_has_room(cli: Cli, lab: FakeCluster, solo: str) -> None:
    assert cli("cluster", "add", "lab", "spark-1,spark-2").code == 0
    _fill(lab, 1, 90)
    _fill(lab, 2, 110)
    done = cli("run", solo, "--", "--gpu-memory-utilization", "0.5")
    assert done.code == 0 and "launching on" not in done.err
    assert [host.running != [] for host in lab.hosts.values()] == [True, False]


def test_of_a_cluster_a_host_that_does_not_answer_is_passed_over(cli: Cli, lab: FakeCluster, solo: str) -> None:
    assert cli("cluster", "add", "lab", "spark-1,spark-2").code == 0
    lab[1].unreachable = True
    done = cli("run", solo)
    assert done.code == 0, done.err
    assert "launching on spark-2: spark-1 does not answer" in done.err
    lab[2].unreachable = True
    assert cli("run", solo).code == 3


async def _no_room(host: FakeHost, container: FakeContainer) -> int:
    host.say(
        container,
        "(EngineCore pid=14) ERROR 11-24 16:06:41 [core.py:1510] ValueError: To serve at least one request with the "
        "model's max seq len (2048), (7.0 GiB KV cache is needed, which is larger than the available KV cache memory "
        "(1.1 GiB). Based on the available memory, the estimated maximum model length is 640. Try increasing "
        "`gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine.",
    )
    return 1


def test_a_launch_that_fails_names_cause_and_repairs(cli: Cli, lab: FakeCluster, solo: str) -> None:
    lab[1].program = _no_room
    done = cli("run", solo, "-H", "spark-1")
    assert done.code == 1
    assert "spark-1: KV cache too small for the context" in done.err
    assert "  > (EngineCore" in done.err
    assert "try: -o max_model_len=640" in done.err
    assert lab.remaining == []
    identity = done.out.split("launch ")[1].split(":")[0]
    kept = cli("logs", identity, "-H", "spark-1")
    assert kept.code == 0
    assert "To serve at least one request" in kept.out
    assert "last known state: failed" in kept.err


def test_a_host_that_does_not_answer_is_exit_code_3_and_nothing_begins(cli: Cli, lab: FakeCluster, pair: str) -> None:
    lab[2].unreachable = True
    done = cli("run", pair, "-H", "spark-1,spark-2")
    assert done.code == 3
    assert "spark-2" in done.err
    assert lab[1].actions == []


def test_a_failed_check_stops_it_unless_it_is_waved_through(cli: Cli, lab: FakeCluster, solo: str) -> None:
    lab[1].facts = replace(lab[1].facts, gpu_runtime=False)
    done = cli("run", solo, "-H", "spark-1")
    assert done.code == 1
    assert "Docker has no GPU runtime" in done.err
    assert lab.remaining == []
    assert cli("run", solo, "-H", "spark-1", "--ignore", "gpu-runtime").code == 0


def test_without_hosts_it_says_how_to_name_some(cli: Cli, solo: str) -> None:
    done = cli("run", solo)
    assert done.code == 2
    assert "-H host1,host2" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-H", "one,one"), "a host is named twice"),
        (("-H", " , "), "names no host"),
        (("--cluster", "nope"), "there is no cluster `nope`"),
    ],
)
def test_hosts_that_cannot_be(cli: Cli, solo: str, arguments: tuple[str, ...], said: str) -> None:
    done = cli("run", solo, *arguments)
    assert done.code == 2
    assert said in done.err


def test_following_prints_the_log_until_it_ends(cli: Cli, lab: FakeCluster, solo: str) -> None:
    lab[1].program = _no_room
    done = cli("run", solo, "-H", "spark-1", "--follow")
    assert done.code == 1
    assert "(EngineCore pid=14) ERROR" in done.out


def test_a_foreign_recipe_needs_consent_once_and_again_when_it_changes(
    cli: Cli, lab: FakeCluster, tmp_path: Path
) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    recipe = folder / "foreign.yaml"
    recipe.write_text(SOLO + "pre_exec: [echo before]\n")
    _git(folder, "init", "-q", "-b", "main")
    _commit(folder)
    added = cli("registry", "add", str(folder), "--name", "team")
    assert added.code == 0, added.err
    assert "added team: 1 recipe" in added.out

    refused = cli("run", "@team/foreign", "-H", "spark-1")
    assert refused.code == 2
    assert "launched for the first time" in refused.err
    assert "echo before" in refused.err
    assert "--yes" in refused.err
    assert lab.remaining == []
    assert cli("run", "@team/foreign", "--dry-run").code == 0
    assert cli("run", "@team/foreign", "-H", "spark-1", "--yes").code == 0
    assert cli("stop", "--all", "-H", "spark-1", "--yes").code == 0
    assert cli("run", "@team/foreign", "-H", "spark-1").code == 0
    cli("stop", "--all", "-H", "spark-1", "--yes")

    recipe.write_text(SOLO + "pre_exec: [echo other]\n")
    _commit(folder)
    updated = cli("registry", "update", "team")
    assert "team: 1 changed" in updated.out
    again = cli("run", "@team/foreign", "-H", "spark-1")
    assert again.code == 2
    assert "has changed since you agreed to it" in again.err


def _git(folder: Path, *words: str) -> None:
    names = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run([need("git"), "-C", str(folder), *names, *words], check=True, capture_output=True)


def _commit(folder: Path) -> None:
    _git(folder, "add", "-A")
    _git(folder, "commit", "-qm", "x")


def _lines(*events: object) -> list[str]:
    narrator = Narrator()
    return [line for event in events for line in narrator.lines(event)]  # type: ignore[arg-type]


def test_a_transfer_is_told_every_ten_seconds() -> None:
    moved = [
        Progressed(time=float(at), host="a", phase=Phase.MODEL, done=at * 1e9, total=60e9, rate=1e9) for at in range(60)
    ]
    lines = _lines(*moved)
    assert len(lines) == 5
    assert lines[0].startswith("  0:10  a: model 9.3 GiB of 55.9 GiB (17%)")


def test_steps_links_and_figures_are_told_once() -> None:
    lines = _lines(
        LinkChanged(time=1, host="a", state="up"),
        StepChanged(time=1, host="a", phase=Phase.CHECK, state=StepState.RUNNING),
        StepChanged(time=2, host="a", phase=Phase.CHECK, state=StepState.OK),
        StepChanged(time=2, host="a", phase=Phase.CHECK, state=StepState.OK),
        EngineFact(time=3, host="a", name="kv_tokens", value=1000),
        EngineFact(time=3, host="a", name="kv_tokens", value=1000),
        EngineFact(time=3, host="a", name="load_seconds", value=1),
        MemorySeen(time=3, host="a", available=1, total=2),
        LinkChanged(time=4, host="a", state="reconnecting", detail="cut"),
        LinkChanged(time=5, host="a", state="up"),
    )
    assert [line[8:] for line in lines] == [
        "a: check ok",
        "a: KV cache for 1,000 tokens",
        "a: link reconnecting (cut)",
        "a: link up",
    ]


def test_a_diagnosis_shows_repairs_as_options() -> None:
    found = Diagnosed(
        host="a", title="out of memory", explanation="too much", evidence="CUDA error",
        repairs=(Repair("less", "it frees 3 GiB", "max_model_len", "4096"), Repair("free the host", "")),
    )  # fmt: skip
    assert list(diagnosis_lines(found)) == [
        "a: out of memory",
        "  too much",
        "  > CUDA error",
        "  try: -o max_model_len=4096  it frees 3 GiB",
        "  try: free the host",
    ]
