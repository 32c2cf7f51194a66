from __future__ import annotations

import pytest

from sparkrun_tui.base.errors import RecipeError, Spot
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Severity
from sparkrun_tui.recipe.values.overrides import render

from .samples import FULL, codes, minimal, recipe


def found(text: str, **options: object) -> dict[str, Severity]:
    base = recipe(text)
    return {problem.code: problem.severity for problem in validate(base, None, {}, **options)}  # type: ignore[arg-type]


def with_lines(*lines: str) -> str:
    return "\n".join(["model: a/b", "runtime: vllm", "container: x/y:1", "command: vllm serve {model}", *lines]) + "\n"


def test_a_good_recipe_has_nothing_but_its_unset_variable() -> None:
    base = recipe(FULL)
    assert codes(validate(base, None, {})) == ["env-unset"]
    assert validate(base, None, {"HF_TOKEN": "x"}) == ()


@pytest.mark.parametrize(
    ("line", "code", "severity"),
    [
        ("mode: both", "mode", Severity.ERROR),
        ("mode: solo\nmin_nodes: 2", "topology", Severity.WARNING),
        ("env:\n  A: ${HOME:-/x}", "env-form", Severity.WARNING),
        ("env: []", "type", Severity.ERROR),
        ("metadata:\n  model_vram: -1", "range", Severity.ERROR),
        ("metadata:\n  model_vram: .nan", "type", Severity.ERROR),
        ("metadata: {model_params: many}", "model-params", Severity.ERROR),
        ("metadata: {model_dtype: banana}", "metadata-model_dtype", Severity.WARNING),
        ("metadata: {kv_dtype: banana}", "metadata-kv_dtype", Severity.WARNING),
        ("metadata: {kv_vram_per_token: 0.0001}", "metadata-kv-vram", Severity.WARNING),
        ("defaults: {zzz: 1}", "unused-default", Severity.WARNING),
        ("defaults: {port: 70000}", "value-port", Severity.ERROR),
        ("defaults: {port: x}", "value-port", Severity.ERROR),
        ("defaults: {gpu_memory_utilization: 0}", "value-gpu-memory-utilization", Severity.ERROR),
        ("defaults: {gpu_memory_utilization: 108}", "value-gpu-memory-utilization", Severity.ERROR),
        ("defaults: {max_num_seqs: none}", "value-max-num-seqs", Severity.WARNING),
        ("defaults: {tensor_parallel: 4}\nmax_nodes: 2", "parallel-nodes", Severity.ERROR),
        ("env: {A: '${NOPE}'}", "env-unset", Severity.WARNING),
        ("env: {'A B': x}", "env-name", Severity.ERROR),
        ("pre_exec: [echo]", "later-field", Severity.NOTE),
        ("executor_config: {shm_size: 1g}", "later-field", Severity.NOTE),
        ("stop_after_post: true", "hook", Severity.WARNING),
        ("benchmark: {a: 1}", "later-field", Severity.NOTE),
        ("mods: [x]", "mod-unseen", Severity.NOTE),
        ("max_model_len: 4096", "misplaced-key", Severity.WARNING),
        ("async-scheduling: true", "misplaced-key", Severity.WARNING),
        ("environment: {A: b}", "unknown-key", Severity.WARNING),
        ("default: {port: 1}", "unknown-key", Severity.WARNING),
        ("model_url: x", "unknown-key", Severity.NOTE),
        ("privileged: true", "unknown-key", Severity.WARNING),
        ("volumes: ['/srv:/srv']", "later-field", Severity.WARNING),
        ("layout: {placements: []}", "later-field", Severity.WARNING),
        ("capabilities: [tools]", "later-field", Severity.NOTE),
        ("containers: [{image: x/y:2}]", "containers", Severity.ERROR),
        ("containers: [{image: x/y, host: b}]", "container-tag", Severity.WARNING),
        ("readiness: {port_timeout: 5}", "readiness", Severity.ERROR),
        ("runtime_cache: {dir: /x}", "runtime-cache", Severity.WARNING),
        ("runtime_config: {readiness: {inference: false}}", "misplaced-key", Severity.WARNING),
        ("overrides: [{defaults: {a: 1}}]", "overrides", Severity.ERROR),
        ("env: {A: '{config.nope}'}", "env-field", Severity.ERROR),
        ("model_revision: abc", "revision-unused", Severity.WARNING),
    ],
)
def test_findings(line: str, code: str, severity: Severity) -> None:
    got = validate(recipe(with_lines(line)), None, {})
    [problem] = [problem for problem in got if problem.code == code]
    assert problem.severity is severity
    assert problem.spot is not None and problem.spot.line >= 5


@pytest.mark.parametrize(
    ("text", "code", "severity"),
    [
        ("runtime: vllm", "missing-model", Severity.ERROR),
        ("model: a/b", "missing-runtime", Severity.NOTE),
        ("model: a/b", "missing-command", Severity.NOTE),
        ("model: a/b\ncontainer: img", "container-tag", Severity.WARNING),
        ("model: a/b\ncontainer: img:latest", "container-moving", Severity.NOTE),
        ("model: a/b\nruntime: eugr-vllm\ncontainer: vllm-node", "container-tag", Severity.NOTE),
        ("model: a/b\nruntime: eugr-vllm\ncontainer: acme/vllm-node", "container-tag", Severity.WARNING),
        ("model: a/b\ncontainer: 'img tag'", "container", Severity.ERROR),
        ("model: a/b\nruntime: atlas", "unknown-runtime", Severity.ERROR),
        ("model: a b; rm", "model-id", Severity.ERROR),
        ("model: ../../etc", "model-id", Severity.ERROR),
        ("model: -oProxy", "model-id", Severity.ERROR),
        ("model: a/b\nruntime: llama-cpp", "gguf-quant", Severity.WARNING),
        ("model: a/b:Q4_0\nruntime: sglang", "gguf-quant", Severity.WARNING),
        ("model: a/b:Q4_0\nruntime: llama-cpp", "llama-nodes", Severity.WARNING),
        ("model: a/b\nruntime: vllm\ncommand: |\n  vllm serve \\  \n  --x", "continuation", Severity.WARNING),
    ],
)
def test_findings_about_whole_recipes(text: str, code: str, severity: Severity) -> None:
    assert found(text + "\n")[code] is severity


@pytest.mark.parametrize("word", ["nvfp4_ds_mla", "octave_k3v4", "NVFP4_4over6"])
def test_the_formats_of_a_cache_are_those_of_the_engine(word: str) -> None:
    as_cache = validate(recipe(with_lines(f"metadata: {{kv_dtype: {word}}}")), None, {})
    assert "metadata-kv_dtype" not in {problem.code for problem in as_cache}


def test_a_layout_of_a_cache_is_no_format_of_weights() -> None:
    as_weights = validate(recipe(with_lines("metadata: {model_dtype: nvfp4_ds_mla}")), None, {})
    assert "metadata-model_dtype" in {problem.code for problem in as_weights}


def test_a_utilisation_above_one_may_be_gib() -> None:
    base = recipe(with_lines("defaults: {gpu_memory_utilization: 108}"))
    [problem] = [p for p in validate(base, None, {}) if p.code == "value-gpu-memory-utilization"]
    assert "GiB" in problem.remedy and "0.89" in problem.remedy


def test_a_flag_that_takes_gib_is_respected() -> None:
    base = minimal("vllm serve m --gpu-memory-utilization-gb {gpu_memory_utilization}", "{gpu_memory_utilization: 108}")
    assert "value-gpu-memory-utilization" not in codes(validate(base, None, {}))


def test_facts_of_the_model_and_gpus_of_the_hosts_count() -> None:
    base = minimal("vllm serve m -tp {tensor_parallel}", "{tensor_parallel: 3}", "max_nodes: 2")
    assert "parallel-heads" in codes(validate(base, None, {}, attention_heads=32))
    assert "parallel-heads" not in codes(validate(base, None, {}, attention_heads=33))
    assert "parallel-nodes" not in codes(validate(base, None, {}, gpus_per_host=2))


def test_overrides_are_checked_too() -> None:
    base = recipe(FULL)
    got = validate(base, render(base, {"port": "99999", "tensor_parallel": "8"}), {"HF_TOKEN": ""})
    assert sorted(codes(got)) == ["parallel-nodes", "value-port"]


def test_findings_come_in_the_order_of_the_file_and_once() -> None:
    got = validate(recipe("container: img\nmodel: {model}\ndefaults: {port: 0}\nmode: x\n"), None, {})
    lines = [problem.spot.line for problem in got if problem.spot]
    assert lines == sorted(lines) and len(set(got)) == len(got)


def test_what_eugr_scripts_do_themselves_is_honoured() -> None:
    text = 'recipe_version: "1"\nmodel: a/b\ncontainer: x:1\nmods: [m]\ncommand: vllm serve {model}\n'
    assert found(text)["later-field"] is Severity.NOTE
    assert "missing-runtime" not in found(text)


def test_local_paths_are_models() -> None:
    for model in ("/models/x", "./x/y", "~/m", "gpt2", "org/name.v1_2"):
        assert "model-id" not in found(f"model: {model}\n")


def test_what_a_file_lacks_is_told_at_its_beginning() -> None:
    got = {problem.code: problem.spot for problem in validate(recipe("model: a/b\n", "lacking.yaml"))}
    assert got["missing-runtime"] == got["missing-command"] == Spot("lacking.yaml", 1, 1)


def test_nothing_is_said_of_the_defaults_of_an_engine_that_is_not_known() -> None:
    got = codes(validate(recipe("model: a/b\nruntime: atlas\n")))
    assert got == ["unknown-runtime"]


def test_braces_by_accident_are_shown_as_they_were_written() -> None:
    got = recipe("model: a/b\nenv:\n  A: {{model}}\n").problems
    assert got[0].remedy.endswith('write it in quotes: A: "{{model}}"')


def test_tags_that_contradict_their_value_are_refused() -> None:
    for text in ("!!int abc", "!!bool maybe", "!!null x", "!!float x"):
        with pytest.raises(RecipeError, match="is not what its tag") as caught:
            recipe(f"model: a/b\ndefaults:\n  k: {text}\n")
        assert caught.value.spot == Spot("sample.yaml", 3, 6)
    assert recipe("model: a/b\ndefaults:\n  k: !!float 3\n  s: !!str 010\n").defaults["k"].data == 3.0


def test_keys_that_are_nearly_one_of_the_format_are_told() -> None:
    text = "model: a/b\ncontainer: x:1\nruntime: vllm\ndefualts: {port: 1}\nComand: x\n"
    text += "metadata: {model_param: 8B, tags: [a]}\nnotes: x\n"
    got = [found for found in validate(recipe(text)) if found.code == "unknown-key"]
    assert [(found.remedy, found.spot and found.spot.line) for found in got] == [
        ("did you mean `defaults`?", 4),
        ("did you mean `command`?", 5),
        ("did you mean `model_params`?", 6),
        ("", 7),
    ]
    beside = validate(recipe("model: a/b\nmodels: [c/d]\nmods: [x]\n"))
    assert [found.severity for found in beside if found.code == "unknown-key"] == [Severity.NOTE]


KEYS_AT_THE_TOP = """model: a/b
container: x:1
runtime: vllm
max_model_len: 16384
gpu_memory_utilization: 0.5
quantization: fp8
my_length: 5
enviroment: {A: b}
default: {port: 9000}
volumes: ["/srv:/srv"]
containers: [{image: y:1}]
readiness: {timeout: 5}
runtime_cache: false
something: 1
defaults: {port: 8000}
command: vllm serve {model} --port {port} --max-model-len {my_length}
"""


def test_no_key_at_the_top_is_dropped_without_a_word() -> None:
    found = {problem.spot.line: problem for problem in validate(recipe(KEYS_AT_THE_TOP)) if problem.spot}
    for line in (4, 5, 6, 7):
        assert found[line].code == "misplaced-key"
        assert "`defaults`" in found[line].remedy
    assert "`env`" in found[8].remedy
    assert found[9].code == found[14].code == "unknown-key"
    assert "`defaults`, which the file has too" in found[9].remedy
    assert found[10].code == "later-field" and "not carried out" in found[10].message
    assert found[11].code == "containers" and "`host`" in found[11].message


def test_a_comment_between_the_lines_of_a_command_is_told() -> None:
    command = "vllm serve \\\n    {model} \\\n    # about the port\n    # and more \\\n    --port 1"
    got = [found for found in validate(minimal(command)) if found.code == "continuation"]
    assert [(found.spot.line, found.spot.column) for found in got if found.spot] == [(12, 7)]
    for fine in ("vllm serve {model} \\\n  --port 1 \\\n  # the end", "# first \\\nvllm serve {model}", "a # b\n- c"):
        assert "continuation" not in codes(validate(minimal(fine)))


def command_findings(command: str) -> list[tuple[str, int]]:
    """Codes of the findings of a command, with the lines of the command, the first being 1."""
    body = "".join(f"  {line}\n" for line in command.split("\n"))
    text = f"model: a/b\nruntime: vllm\ncontainer: x/y:1\ncommand: |\n{body}"
    found = validate(recipe(text), None, {})
    return [(problem.code, problem.spot.line - 4) for problem in found if problem.spot is not None]


def test_a_flag_on_a_line_that_the_command_does_not_reach() -> None:
    assert command_findings("vllm serve {model} \\\n  --port 1\n  --max-num-seqs 4") == [("continuation", 3)]
    text = "model: a/b\nruntime: vllm\ncontainer: x/y:1\ncommand: |\n  vllm serve {model}\n    --max-num-seqs 4\n"
    [problem] = [found for found in validate(recipe(text), None, {}) if found.code == "continuation"]
    assert problem.severity is Severity.ERROR and "`--max-num-seqs 4`" in problem.message


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("vllm serve {model} \\\n\n  --port 1", 3),
        ("vllm serve {model}\n\n\n  --port 1", 4),
        ("vllm serve {model} # words \\\n  --port 1", 2),
        ("vllm serve {model} \\\\\n  --port 1", 2),
        ("vllm serve {model} \\\n  # words\n  --port 1", 3),
        ("vllm serve {model} &\n  -tp 1", 2),
        ("args=(--a 1)\nvllm serve {model}\n  --port 1", 3),
    ],
)
def test_other_ways_to_lose_a_flag(command: str, line: int) -> None:
    assert ("continuation", line) in command_findings(command)


@pytest.mark.parametrize(
    "command",
    [
        "vllm serve {model} \\\n  --port 1",
        "vllm serve {model} --compilation-config '{\n  -1\n  --a}'",
        "cat > /tmp/a <<EOF\nx\n- a\n--b\nEOF\nvllm serve {model}",
        "vllm serve {model} \\\n  # a word\n",
        "args=(\n  --port 1\n)\nvllm serve {model}",
        'args=(\n  --port 1\n  --a 2\n  --b\n)\nvllm serve {model} "${args[@]}"',
        "args+=(--x\n  --port 1)\nvllm serve {model}",
        "vllm serve {model} |\n  -x",
        "",
    ],
)
def test_lines_that_begin_like_flags_and_are_none(command: str) -> None:
    assert ("continuation", 2) not in command_findings(command)
    assert ("continuation", 3) not in command_findings(command)


def test_blanks_behind_a_backslash_are_left_out() -> None:
    # sparkrun mends this too, so that published recipes carry it unnoticed (its RECIPES.md of 2026).
    base = minimal(command="vllm serve {model} \\  \n  --port 1 \\\t\n  {more}", defaults="{more: --max-num-seqs 4}")
    rendered = render(base, {})
    assert rendered.argv[-5:] == ("a/b", "--port", "1", "--max-num-seqs", "4")
    assert codes(validate(base, rendered, {})).count("continuation") == 2


@pytest.mark.parametrize(
    "command",
    [
        "echo a && docker run x",
        "set -e; exec docker run x",
        "X=1 docker run x",
        "bash -c 'docker run x'",
        "if true; then docker run x; fi",
        "sudo podman container run x",
        "docker-compose up",
        "(nerdctl compose up)",
    ],
)
def test_a_container_that_is_started_anywhere_in_the_command(command: str) -> None:
    text = f"model: a/b\nruntime: vllm\ncontainer: x/y:1\ncommand: |\n  {command}\n"
    [problem] = [found for found in validate(recipe(text), None, {}) if found.code == "container-in-command"]
    assert problem.severity is Severity.ERROR and "there is no Docker" in problem.message


@pytest.mark.parametrize(
    "command",
    [
        "echo 'docker run x'",
        "# docker run x",
        "cat <<E\n  docker run x\n  E",
        "vllm serve {model} --name docker-run",
        "docker ps",
    ],
)
def test_words_about_containers_that_start_none(command: str) -> None:
    text = f"model: a/b\nruntime: vllm\ncontainer: x/y:1\ncommand: |\n  {command}\n"
    assert "container-in-command" not in codes(validate(recipe(text), None, {}))


@pytest.mark.parametrize("program", ["docker run", "sudo docker compose", "podman run"])
def test_a_command_that_starts_its_own_container(program: str) -> None:
    assert command_findings(f"{program} --gpus all img \\\n  vllm serve {{model}}")[0] == ("container-in-command", 1)


def test_the_revision_is_passed_to_the_engine() -> None:
    pinned = "model: a/b\nmodel_revision: abc\nruntime: vllm\ncontainer: x/y:1\n"
    written = recipe(f"{pinned}command: vllm serve {{model}} --revision {{model_revision}}\n")
    assert render(written, {}).argv == ("vllm", "serve", "a/b", "--revision", "abc")
    assert codes(validate(written, None, {})) == []
    assert render(written, {"model": "c/d"}).argv == ("vllm", "serve", "c/d", "--revision", "main")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("services: {vllm: {image: x/y:1, command: [--model, a/b]}}", "Docker Compose"),
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: vllm}", "Kubernetes"),
        ("models: {a: {cmd: llama-server -m /a.gguf}}", "llama-swap"),
    ],
)
def test_files_of_other_programs_are_told_by_name(text: str, name: str) -> None:
    told = [problem for problem in validate(recipe(text), None, {}) if problem.code == "other-format"]
    assert [problem.severity for problem in told] == [Severity.ERROR]
    assert name in told[0].message


def test_ray_is_started_by_the_launch() -> None:
    command = "ray start --head && vllm serve {model}"
    assert command_findings(command) == [("ray-in-command", 1)]
    alone = f"model: a/b\nruntime: vllm\ncontainer: x/y:1\nmax_nodes: 1\ncommand: {command}\n"
    assert "ray-in-command" not in codes(validate(recipe(alone), None, {}))


def test_an_image_with_two_tags() -> None:
    text = "model: a/b\nruntime: vllm\ncontainer: x/y:0.13.0-t4:latest\ncommand: vllm serve {model}\n"
    [found] = [problem for problem in validate(recipe(text), None, {}) if problem.code == "container"]
    assert "two tags" in found.remedy


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("vllm serve {model} --port ${PORT}", ["PORT"]),
        ('vllm serve {model} --port "$PORT" --port $PORT', ["PORT"]),
        ("vllm serve {model} --port ${PORT:-8000}", []),
        ("PORT=8000\nvllm serve {model} --port $PORT", []),
        ("for i in 1 2; do echo $i; done; vllm serve {model}", []),
        ("vllm serve {model} --chat-template '$PORT'", []),
        ("vllm serve {model} --chat-template \\$PORT", []),
        ("export PATH=$HOME/bin:$PATH; vllm serve {model}", []),
        ("vllm serve {model} --api-key $KEY", []),
    ],
)
def test_variables_that_nothing_sets(command: str, told: list[str]) -> None:
    # llama-swap fills ${PORT} in by itself; in a recipe it would be empty, and the next word the port.
    body = "".join(f"  {line}\n" for line in command.split("\n"))
    text = f"model: a/b\nruntime: vllm\ncontainer: x/y:1\nenv: {{KEY: x}}\ndefaults: {{port: 8000}}\ncommand: |\n{body}"
    found = [problem for problem in validate(recipe(text), None, {}) if problem.code == "variable-unset"]
    assert [problem.message.split("`")[1] for problem in found] == [f"${name}" for name in told]
    assert [problem.remedy for problem in found] == ["write `{port}`"] * len(told)


COMMIT = "bc486f653513c9179e20a970587dcbe928bf7b96"
CACHED = f"/root/.cache/huggingface/hub/models--a--b/snapshots/{COMMIT}"


@pytest.mark.parametrize(
    ("top", "command", "expected"),
    [
        ("model: a/b", f"vllm serve {CACHED}", ["snapshot"]),
        ("model: a/b\nmodel_revision: main", f"vllm serve {CACHED}", ["snapshot"]),
        (f"model: a/b\nmodel_revision: {COMMIT}", f"vllm serve {CACHED}", []),
        ("model: a/c", f"vllm serve {CACHED}", ["model-unused"]),
        (f"model: {CACHED}", "vllm serve {model}", ["cached-model"]),
        ("model: /srv/models/b", "vllm serve {model}", []),
    ],
)
def test_a_snapshot_of_the_cache_is_set_against_what_is_fetched(top: str, command: str, expected: list[str]) -> None:
    text = f"{top}\nruntime: vllm\ncontainer: x/y:1\ncommand: {command}\n"
    found = validate(recipe(text), None, {})
    assert [
        problem.code for problem in found if problem.code in ("snapshot", "model-unused", "cached-model")
    ] == expected
    for problem in found:
        if problem.code in ("snapshot", "cached-model"):
            assert f"`model_revision: {COMMIT}`" in problem.remedy


@pytest.mark.parametrize(
    ("command", "named"),
    [("vllm serve {model}", True), ("vllm serve A/B", True), ("vllm serve /models/other", False)],
)
def test_a_command_that_serves_something_else(command: str, named: bool) -> None:
    text = f"model: a/b\nruntime: vllm\ncontainer: x/y:1\ncommand: {command}\n"
    assert ("model-unused" not in codes(validate(recipe(text), None, {}))) is named


@pytest.mark.parametrize(
    ("model", "more", "told"),
    [
        ("/srv/models/a", "", True),
        ("./models/a", "", True),
        ("/srv/models/a", "executor_config: {volumes: ['/srv/models:/srv/models:ro']}", False),
        ("/srv/models/a", "executor_config: {volumes: ['/srv/models:/models:ro']}", True),
        ("/models/a", "executor_config: {volumes: ['/srv/models:/models']}", False),
        ("/root/.cache/huggingface/hub/a", "", False),
        ("a/b", "", False),
    ],
)
def test_a_model_that_the_container_does_not_see(model: str, more: str, told: bool) -> None:
    text = f"model: {model}\nruntime: vllm\ncontainer: x/y:1\ncommand: vllm serve {{model}}\n{more}\n"
    assert ("model-path" in codes(validate(recipe(text), None, {}))) is told


@pytest.mark.parametrize("key", ["model_type: llama", "quant_bits: 4", "quantization: nvfp4", "kv_lora_rank: 512"])
def test_facts_for_other_estimates_are_no_typing_errors(key: str) -> None:
    base = load_text(
        f"model: a/b\nruntime: vllm\ncontainer: a/b:1\nmetadata: {{{key}}}\ncommand: vllm serve {{model}}\n"
    )
    assert validate(base, None, {}) == ()
