from __future__ import annotations

import json

import pytest

from sparkrun_tui.engines.checks.flags import check_flags
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.command.arguments import read_arguments
from sparkrun_tui.engines.dumps import compact, flag_help, load_flags
from sparkrun_tui.engines.fields.declared import FIELDS
from sparkrun_tui.engines.image_version import version_in_tag
from sparkrun_tui.engines.registry import FAMILIES
from sparkrun_tui.recipe.model import Severity
from sparkrun_tui.recipe.values.overrides import render

from .samples import codes, recipe

KNOWN = {
    "vllm": "vllm/vllm-openai:v0.33.0",
    "sglang": "lmsysorg/sglang:v0.5.23",
    "llama-cpp": "ghcr.io/ggml-org/llama.cpp:server-cuda-b11669",
    "atlas": "acme/atlas:1",
}
"""Images that are known to hold the version whose flags are shipped."""


def check(command: str, runtime: str = "vllm") -> list[tuple[str, str]]:
    base = recipe(
        f"model: a/b\nruntime: {runtime}\ncontainer: {KNOWN[runtime]}\ncommand: |\n  "
        + command.replace("\n", "\n  ")
        + "\n"
    )
    return [(problem.code, problem.message) for problem in check_flags(render(base, {}))]


def check_codes(command: str, runtime: str = "vllm") -> list[str]:
    return [code for code, _ in check(command, runtime)]


@pytest.mark.parametrize("engine", sorted(name for name in FAMILIES if "validation" not in FAMILIES[name].lacks))
def test_data_files_are_whole(engine: str) -> None:
    flags = load_flags(FAMILIES[engine])
    assert len(flags.by_spelling) > 250
    assert flags.title == FAMILIES[engine].known_title
    for word, flag in flags.by_spelling.items():
        assert word in flag.spellings and flag.kind in ("flag", "bool", "value", "open")
        assert flag.type in ("", "int", "float", "str", "json", "object")
        assert word.startswith("-") and flag.name.startswith("-")


def test_there_is_no_data_for_other_engines() -> None:
    assert check_codes("vllm serve {model} --nonsense", "atlas") == []


GOOD = """\
vllm serve {model} --host 0.0.0.0 --port 8000 -tp 2 --max-model-len 128K --max_num_seqs=4 \\
  --gpu-memory-utilization 0.85 --enable-auto-tool-choice --no-enable-prefix-caching --tool-call-parser hermes \\
  --speculative-config '{"method": "mtp"}' --compilation-config.mode 3 -cc.cudagraph_mode FULL -O3 \\
  --served-model-name one two three --seed -1 --max-num-batched-tokens "$TOKENS"
"""


def test_a_good_command_has_no_findings() -> None:
    assert check(GOOD) == []
    assert check("python3 -m sglang.launch_server --model-path {model} --tp-size 2 --trust-remote-code", "sglang") == []
    assert check("sglang serve --model-path {model} --context-length=4096", "sglang") == []
    assert check("/app/llama-server -hf {model} -c 8192 --flash_attn on --jinja --no-webui -lm none", "llama-cpp") == []


@pytest.mark.parametrize(
    ("command", "runtime", "code", "words"),
    [
        ("vllm serve m --mxfp4-backend x", "vllm", "unknown-flag", "vLLM 0.33.0 does not know `--mxfp4-backend`"),
        ("llama-server -m x --no-mmap", "llama-cpp", "unknown-flag", "llama-server has no `--no-mmap` since b10875"),
        ("llama-server -m x --port=1", "llama-cpp", "unknown-flag", "`--port=1`"),
        ("sglang serve --model-path m --zzz", "sglang", "unknown-flag", "SGLang 0.5.23"),
        ("sglang serve --model-path m --pp 2", "sglang", "flag-ambiguous", "--pp"),
        (
            "sglang serve --model-path m --speculative-algo EAGLE",
            "sglang",
            "flag-abbreviation",
            "speculative-algorithm",
        ),
        ("vllm serve m --port", "vllm", "flag-value", "has no value"),
        ("vllm serve m --port --host x", "vllm", "flag-value", "`--port` has no value"),
        ("vllm serve m --enforce-eager=true", "vllm", "flag-value", "takes no value"),
        ("vllm serve m --port eighty", "vllm", "flag-type", "whole number"),
        ("vllm serve m --gpu-memory-utilization much", "vllm", "flag-type", "takes a number"),
        ("vllm serve m --tokenizer-mode x --hf-overrides '{\"a\": }'", "vllm", "flag-type", "not valid JSON"),
        ("sglang serve --model-path m --kv-cache-dtype fp8", "sglang", "flag-type", "fp8_e4m3"),
        ("vllm serve m --port 1 --port 2", "vllm", "flag-twice", "another value"),
        ("vllm serve m -tp 1 --tensor-parallel-size 1", "vllm", "flag-twice", "given again"),
        ("vllm serve m extra", "vllm", "loose-word", "`extra`"),
    ],
)
def test_what_the_engine_would_refuse(command: str, runtime: str, code: str, words: str) -> None:
    found = check(command, runtime)
    [message] = [message for kind, message in found if kind == code]
    assert words in message


def test_findings_are_warnings_at_the_flags_place() -> None:
    command = "  llama-server -m x \\\n    --no-mmap --port {port}\n"
    base = recipe(
        f"model: m\nruntime: llama-cpp\ncontainer: {KNOWN['llama-cpp']}\ncommand: |\n{command}defaults: {{port: 1}}\n"
    )
    problem = next(problem for problem in validate(base, None, {}) if problem.code == "unknown-flag")
    assert problem.severity is Severity.WARNING and "-lm none" in problem.remedy
    assert problem.spot is not None and (problem.spot.line, problem.spot.column) == (6, 5)


def test_a_misspelt_flag_gets_a_suggestion() -> None:
    base = recipe(f"model: m\nruntime: vllm\ncontainer: {KNOWN['vllm']}\ncommand: vllm serve m --max-modal-len 5\n")
    assert check_flags(render(base, {}))[0].remedy == "did you mean `--max-model-len`?"


def test_commands_of_other_programs_are_not_judged() -> None:
    assert check_codes("bash /start.sh --whatever") == []
    assert check_codes("exec /opt/run-vllm --whatever") == []


def test_values_are_read_as_the_engine_reads_them() -> None:
    line = "vllm serve m --served-model-name a b --seed -1 --port=5 --hf-overrides.x 3 --unknown p q --headless"
    arguments = read_arguments(line.split(), FAMILIES["vllm"])
    given = arguments.given
    assert arguments.loose == ("m",)
    assert [(entry.word, entry.values) for entry in given] == [
        ("--served-model-name", ("a", "b")), ("--seed", ("-1",)), ("--port", ("5",)), ("--hf-overrides.x", ("3",)),
        ("--unknown", ("p", "q")), ("--headless", ()),
    ]  # fmt: skip


def test_sentences_for_flags() -> None:
    assert flag_help(FAMILIES["vllm"], "-tp") == FIELDS["tensor_parallel"].help
    assert flag_help(FAMILIES["llama-cpp"], "-lm") and flag_help(FAMILIES["sglang"], "--dist-init-addr")
    assert flag_help(FAMILIES["vllm"], "--grpc") == ""


def test_a_data_file_is_made_from_a_dump() -> None:
    dump = [
        {"flags": ["--a", "-a"], "kind": "value", "type": "int", "default": 1, "nargs": "+", "choices": [1, 2]},
        {"flags": ["--x-draft"], "kind": "flag", "default": "f16"},
        {"flags": ["--jinja", "--no-jinja"], "kind": "flag", "default": "enabled"},
    ]
    text = compact(dump, from_help=True)
    assert text.count("\n") == 5
    assert json.loads(text) == [
        {"f": ["--a", "-a"], "k": "value", "t": "int", "n": True, "c": ["1", "2"], "d": 1},
        {"f": ["--x-draft"], "k": "open", "d": "f16"},
        {"f": ["--jinja", "--no-jinja"], "k": "flag", "d": "enabled"},
    ]
    assert json.loads(compact(dump, from_help=False))[1]["k"] == "flag"


def test_validate_reports_flags_of_overrides_too() -> None:
    base = recipe(
        "model: m\nruntime: vllm\ncontainer: vllm/vllm-openai:v0.33.0\ndefaults: {port: 1}\n"
        "command: vllm serve m --port {port}\n"
    )
    assert "flag-type" in codes(validate(base, render(base, {"port": "abc"}), {}))


def test_words_that_llama_cpp_takes_for_on_and_off() -> None:
    for word in ("1", "true", "on", "0", "off", "auto"):
        assert check_codes(f"llama-server -m x -fa {word}", "llama-cpp") == []
    assert check_codes("llama-server -m x -fa maybe", "llama-cpp") == ["flag-type"]


def test_a_flag_of_llama_cpp_without_its_value_takes_the_next_word() -> None:
    found = check("llama-server -m x -fa --port 80", "llama-cpp")
    assert [code for code, _ in found] == ["flag-value"] and "takes the next word" in found[0][1]


def test_the_short_form_of_sglang_takes_the_model_without_a_flag() -> None:
    assert check_codes("sglang serve {model} --port 80", "sglang") == []
    assert check_codes("sglang serve {model} again --port 80", "sglang") == ["loose-word"]
    assert check_codes("python3 -m sglang.launch_server {model}", "sglang") == ["loose-word"]


def test_the_optimisation_level_in_every_form() -> None:
    assert check_codes("vllm serve {model} -O 2 --port 80") == check_codes("vllm serve {model} -O3") == []
    assert check_codes("vllm serve {model} -O.level 3 -O=1") == []


def test_hints_are_about_the_flag() -> None:
    def hint(flag: str, image: str = KNOWN["vllm"]) -> str:
        rendered = render(
            recipe(f"model: a/b\nruntime: vllm\ncontainer: {image}\ncommand: vllm serve {{model}} {flag} x\n"), {}
        )
        return next(problem.remedy for problem in check_flags(rendered) if problem.code == "unknown-flag")

    assert hint("--bogus") == ""
    assert "`--served-model-name`" in hint("--model-name")
    assert "`--max-model-len`" in hint("--max-model-length")
    assert "leave it out" in hint("--disable-log-requests", "vllm/vllm-openai:v0.32.0")
    assert "share of the memory" in hint("--gpu-memory-utilization-gb")


def test_the_opposite_of_a_flag_is_not_suggested() -> None:
    base = recipe(f"model: m\nruntime: sglang\ncontainer: {KNOWN['sglang']}\ncommand: sglang serve m --disable-lora\n")
    [found] = check_flags(render(base, {}))
    assert found.code == "unknown-flag" and "--enable-lora" not in found.remedy


def test_a_word_out_of_a_value_is_told_where_its_placeholder_stands() -> None:
    text = (
        "model: a/b\nruntime: sglang\ncontainer: lmsysorg/sglang:v0.5.23\ndefaults:\n  name: one two\ncommand: |\n"
        "  sglang serve \\\n    --served-model-name {name}\n"
    )
    for own in (
        text.replace("one two", "one two three"),
        text.replace("sglang serve", "sglang serve --model {model}").replace("one two", "one a/b"),
    ):
        [found] = [problem for problem in check_flags(render(recipe(own), {})) if problem.code == "loose-word"]
        assert found.spot is not None and (found.spot.line, found.spot.column) == (8, 25)


def test_the_flag_of_another_engine_is_known_for_what_it_means() -> None:
    def hint(runtime: str, command: str) -> str:
        text = f"model: a/b\nruntime: {runtime}\ncontainer: {KNOWN[runtime]}\nmax_nodes: 1\ncommand: {command}\n"
        return next(found.remedy for found in check_flags(render(recipe(text), {})) if found.code == "unknown-flag")

    assert "`--context-length`" in hint("sglang", "sglang serve {model} --max-model-len 4096")
    assert "`--mem-fraction-static`" in hint("sglang", "sglang serve {model} --gpu-memory-utilization 0.8")
    assert "`--max-model-len`" in hint("vllm", "vllm serve {model} --context-length 4096")


def in_image(command: str, image: str, runtime: str) -> list[tuple[str, Severity]]:
    base = recipe(f"model: a/b\nruntime: {runtime}\ncontainer: {image}\ncommand: {command}\n")
    return [(problem.code, problem.severity) for problem in check_flags(render(base, {}))]


@pytest.mark.parametrize(
    ("flag", "image", "runtime", "severity"),
    [
        # llama.cpp took --no-mmap until b10874.
        ("--no-mmap", "ghcr.io/ggml-org/llama.cpp:server-cuda-b8076", "llama-cpp", None),
        ("--no-mmap", "ghcr.io/ggml-org/llama.cpp:server-cuda-b10874", "llama-cpp", None),
        ("--no-mmap", "ghcr.io/ggml-org/llama.cpp:server-cuda-b10875", "llama-cpp", Severity.WARNING),
        ("--no-mmap", "ghcr.io/ggml-org/llama.cpp:server-cuda", "llama-cpp", Severity.NOTE),
        ("--no-mmap", "acme/llama.cpp:latest", "llama-cpp", None),
        # Its engine arguments had --guided-decoding-backend until vLLM 0.11.2.
        ("--guided-decoding-backend xgrammar", "vllm/vllm-openai:v0.8.5", "vllm", None),
        ("--guided-decoding-backend xgrammar", "vllm/vllm-openai:v0.32.0", "vllm", Severity.WARNING),
        ("--guided-decoding-backend xgrammar", "x/vllm:nightly-20260927", "vllm", None),
        # No version had it; of an image of unknown make, nothing is said.
        ("--max-model-lem 4096", "vllm/vllm-openai:v0.8.5", "vllm", Severity.WARNING),
        ("--max-model-lem 4096", "vllm/vllm-openai:latest", "vllm", Severity.WARNING),
        ("--max-model-lem 4096", "vllm/vllm-openai@sha256:0123", "vllm", Severity.WARNING),
        ("--max-model-lem 4096", "vllm/vllm-openai:v0.99.0", "vllm", Severity.WARNING),
        ("--max-model-lem 4096", "acme/vllm", "vllm", None),
        ("--max-model-lem 4096", "acme/vllm:0.33.0rc1", "vllm", None),
        ("--max-model-lem 4096", "acme/box:0.33.0", "vllm", None),
        # A published image of unknown version may be newer than all that is known.
        ("--brand-new-thing 1", "vllm/vllm-openai:latest", "vllm", None),
        ("--brand-new-thing 1", "vllm/vllm-openai:v0.99.0", "vllm", None),
        ("--brand-new-thing 1", "vllm/vllm-openai:v0.33.0-cu130", "vllm", Severity.WARNING),
    ],
)
def test_flags_are_judged_for_what_the_image_holds(
    flag: str, image: str, runtime: str, severity: Severity | None
) -> None:
    start = "llama-server" if runtime == "llama-cpp" else "vllm serve {model}"
    found = in_image(f"{start} {flag}", image, runtime)
    if severity is None:
        assert found == []
    else:
        assert found == [("unknown-flag", severity)]


def test_flags_of_a_fork_are_not_judged() -> None:
    command = "llama-server -m /m.gguf -fmoe -khad --merge-qkv --fit"
    image = "ghcr.io/ikawrakow/ik-llama-cpp:cu13-server-5012"
    assert in_image(command, image, "llama-cpp") == [("fork", Severity.NOTE)]
    assert len(in_image(command, KNOWN["llama-cpp"], "llama-cpp")) == 4


def test_keys_of_a_configuration_that_are_written_like_flags() -> None:
    # A start of vLLM 0.11 with a draft model ended so (vllm-project/vllm#24322, a comment of 2025-10).
    [(code, message)] = check("""vllm serve {model} --speculative-config '{"model": "c/d", "max-model-len": 10000}'""")
    assert code == "flag-type" and "`max_model_len`" in message
    assert check_codes("""vllm serve {model} --mm-processor-kwargs '{"a-b": 1}'""") == []


def test_words_joined_by_commas() -> None:
    assert check_codes("llama-server -m /m --spec-type draft-dflash,draft-mtp,ngram-mod", "llama-cpp") == []
    assert check_codes("llama-server -m /m --spec-type draft-dflash,mtp", "llama-cpp") == ["flag-type"]


@pytest.mark.parametrize(
    ("runtime", "image", "version"),
    [
        ("vllm", "ghcr.io/anemll/dspark-vllm-gx10:0.1.1", ""),
        ("vllm", "vllm/vllm-openai:v0.8.5", "0.8.5"),
        ("vllm", "scitrera/dgx-spark-vllm:0.13.0-t4", "0.13.0"),
        ("sglang", "x/sglang-spark:0.2", ""),
        ("sglang", "scitrera/dgx-spark-sglang:0.5.8-t5", "0.5.8"),
        ("llama-cpp", "x/llama:b8076", "b8076"),
    ],
)
def test_a_number_that_is_too_low_is_the_images_own(runtime: str, image: str, version: str) -> None:
    assert version_in_tag(FAMILIES[runtime], image) == version
