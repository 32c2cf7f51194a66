"""Flags that the engine in the image does not have yet, or no more, where the version is known."""

from __future__ import annotations

import pytest

from sparkrun_tui.engines.checks.flags import check_flags
from sparkrun_tui.engines.dumps import Change, load_flags
from sparkrun_tui.engines.registry import FAMILIES, engine_for
from sparkrun_tui.launch.sizing.evaluation import Target, evaluate
from sparkrun_tui.launch.sizing.image_label import version_of
from sparkrun_tui.launch.sizing.measured_store import ImageFacts, learn_image
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Severity
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.remote.docker.types import ImageInfo

NEW = ("flag-version", "`--performance-mode` was added in vLLM 0.17.0, and the image holds 0.12.0")


def recipe(command: str, tag: str, runtime: str = "vllm") -> Recipe:
    text = f"model: a/b\nruntime: {runtime}\ncontainer: acme/{runtime}:{tag}\ncommand: {command}\n"
    return load_text(text)


def found(command: str, tag: str, runtime: str = "vllm", version: str = "") -> list[tuple[str, str]]:
    problems = check_flags(render(recipe(command, tag, runtime), {}), version)
    return [(problem.code, problem.message) for problem in problems]


@pytest.mark.parametrize(
    ("tag", "problems"),
    [
        ("v0.12.0", [NEW]),
        ("v0.17.0", []),
        ("0.32.0", []),
        # Of the versions between the last without it and the first with it nothing is known.
        ("v0.16.1", []),
        ("latest", []),
        ("nightly-20260301", []),
    ],
)
def test_a_flag_that_came_later(tag: str, problems: list[tuple[str, str]]) -> None:
    assert found("vllm serve {model} --performance-mode balanced", tag) == problems


def test_a_flag_that_went() -> None:
    command = "vllm serve {model} --disable-log-requests"
    assert found(command, "v0.12.0") == [], "it is known there"
    (problem,) = found(command, "v0.20.0")
    assert problem == ("unknown-flag", "vLLM has no `--disable-log-requests` since 0.17.0, and the image holds 0.20.0")
    assert found(command, "latest") == []
    assert found(command, "v0.33.0") == [], "it came again, as what switches `--enable-log-requests` off"


def test_a_flag_that_went_and_is_now_short_for_two_others() -> None:
    command = "sglang serve {model} --cuda-graph-max-bs 8 --max-running-requests 8"
    assert found(command, "v0.5.10", "sglang") == []
    assert [code for code, _ in found(command, "v0.5.23", "sglang")] == ["flag-ambiguous"]


@pytest.mark.parametrize(
    ("tag", "value", "word"),
    [
        ("v0.19.0", "nvfp4", "which came with 0.20.0"),
        ("v0.20.0", "nvfp4", ""),
        ("v0.19.1", "nvfp4", ""),
        ("v0.32.0", "octave_k3v4", "which came with 0.33.0"),
        ("v0.33.0", "octave_k3v4", ""),
        ("v0.33.0", "fp9", "known values are `auto`, `bfloat16`"),
        # Published at a version that is not known here: it may know more values.
        ("latest", "fp9", ""),
        ("v0.99.0", "fp9", ""),
    ],
)
def test_values_that_came_later(tag: str, value: str, word: str) -> None:
    messages = [message for _, message in found(f"vllm serve {{model}} --kv-cache-dtype {value}", tag)]
    if word:
        assert len(messages) == 1 and word in messages[0]
    else:
        assert messages == []


def test_values_that_went() -> None:
    command = "vllm serve {model} --prefix-caching-hash-algo builtin"
    assert found(command, "v0.10.1") == []
    assert [code for code, _ in found(command, "v0.10.2")] == ["flag-type"]


def test_an_older_spelling_of_a_flag_with_a_newer_name() -> None:
    # The switch is --ui since b9246, and was --webui alone before (common/arg.cpp of b8182).
    assert found("llama-server -m x --no-webui", "b8182", "llama-cpp") == []
    assert [code for code, _ in found("llama-server -m x --no-ui", "b8182", "llama-cpp")] == ["flag-version"]


def test_a_switch_that_takes_a_value_now() -> None:
    # -fa took no value until b6341 at least, and takes one since b6451 at the latest (common/arg.cpp).
    for command in ("llama-server -m x -fa --port 80", "llama-server -m x -fa maybe --port 80"):
        text = f"model: a/b\nruntime: llama-cpp\ncontainer: acme/llama.cpp:TAG\ncommand: {command}\n"
        for tag, count in (("b6000", 0), ("b6400", 0), ("b6451", 1)):
            assert len(check_flags(render(load_text(text.replace("TAG", tag)), {}))) == count


@pytest.mark.parametrize(
    ("tag", "flag", "severity"),
    [
        # vLLM read `image=0` itself until 0.9.2 (nullable_kvs in engine/arg_utils.py), and reads only JSON since.
        ("v0.9.2", "--limit-mm-per-prompt image=0", None),
        ("v0.10.0", "--limit-mm-per-prompt image=0", Severity.ERROR),
        ("v0.33.0", "--limit-mm-per-prompt image=0,video=1", Severity.ERROR),
        ("v0.33.0", "--limit-mm-per-prompt=image=0", Severity.ERROR),
        ("v0.33.0", "--limit_mm_per_prompt image", Severity.ERROR),
        ("v0.33.0", "--limit-mm-per-prompt.image 0", None),
        ("v0.33.0", "--limit-mm-per-prompt '{{\"image\": 0}}'", None),
        ("v0.33.0", "--limit-mm-per-prompt $LIMITS", None),
        ("v0.33.0", "--media-io-kwargs fps=2", Severity.ERROR),
        # What may be a word too is not read as JSON.
        ("v0.33.0", "--hf-overrides mymodule.overrides", None),
        ("latest", "--limit-mm-per-prompt image=0", None),
    ],
)
def test_flags_that_read_json_only(tag: str, flag: str, severity: Severity | None) -> None:
    given = load_text(
        f"model: a/b\nruntime: vllm\ncontainer: vllm/vllm-openai:{tag}\ncommand: |\n  vllm serve {{model}} {flag}\n"
    )
    problems = check_flags(render(given, {}))
    assert [problem.severity for problem in problems] == ([severity] if severity else [])
    if "image=0,video=1" in flag:
        assert problems[0].remedy == """write `'{"image": 0, "video": 1}'`"""


@pytest.mark.parametrize(
    ("tag", "command", "codes"),
    [
        # FlexibleArgumentParser.parse_args moves the flag's model to the front, and argparse refuses the other.
        ("v0.33.0", "vllm serve {model} --model c/d", ["model-twice"]),
        ("v0.33.0", "vllm serve {model} --port 80 --model=c/d", ["model-twice"]),
        ("v0.11.1", "vllm serve --port 80 {model} --model c/d", ["model-twice"]),
        ("v0.33.0", "vllm serve --model {model} --port 80", []),
        ("v0.11.0", "vllm serve --model {model} --port 80", ["model-twice"]),
        ("v0.33.0", "python3 -m vllm.entrypoints.openai.api_server --model {model}", []),
        ("v0.11.0", "python3 -m vllm.entrypoints.openai.api_server --model {model}", []),
        ("latest", "vllm serve {model} --model c/d", []),
    ],
)
def test_a_model_that_is_named_twice(tag: str, command: str, codes: list[str]) -> None:
    problems = check_flags(render(recipe(command, tag), {}))
    assert [problem.code for problem in problems] == codes
    assert all(problem.severity is Severity.ERROR for problem in problems)


@pytest.mark.parametrize("stated", ["0.12.1rc2", "0.12.1.dev4", "0.12.1rc1.dev232+gabc"])
def test_of_a_build_between_releases_only_what_is_sure_is_said(stated: str) -> None:
    given = recipe("vllm serve {model} --performance-mode balanced --never-heard-of 1", "spark")
    info = ImageInfo("sha256:1", (), (), (), "linux", "arm64", 1, labels={"ai.vllm.version": stated})
    problems = check_flags(render(given, {}), version_of("vllm", info))
    assert [problem.code for problem in problems] == ["flag-version"]
    assert len(check_flags(render(given, {}), "0.12.0")) == 2


def test_what_the_image_said_of_itself_counts_where_its_tag_says_nothing() -> None:
    given = recipe("vllm serve {model} --performance-mode balanced", "latest")
    assert "flag-version" not in {problem.code for problem in evaluate(given, {}, Target()).problems}
    learn_image(given.container, ImageFacts("sha256:1", "0.12.0"))
    assert NEW in {(problem.code, problem.message) for problem in evaluate(given, {}, Target()).problems}


@pytest.mark.parametrize("engine", sorted(FAMILIES))
def test_the_history_agrees_with_the_dump(engine: str) -> None:
    flags = load_flags(FAMILIES[engine])
    came, gone = flags.history.words()
    for word in came:
        spelling, _, value = word.partition("=")
        assert spelling in flags.by_spelling
        assert not value or value in flags.by_spelling[spelling].choices
    for word in gone:
        spelling, _, value = word.partition("=")
        # A word that came again has both a change in which it went and a later one in which it came.
        assert value or spelling not in flags.by_spelling or spelling in came
    assert flags.history.releases[-1] == FAMILIES[engine].known_version


def test_versions_are_compared_by_their_numbers() -> None:
    change = Change("0.9.0", "0.10.0")
    assert change.not_yet("0.9") and change.not_yet("0.8.5") and not change.not_yet("0.10.0")
    assert change.done("0.10.0") and change.done("0.33") and not change.done("0.9.2")
    for unknown in ("", "20260301", "b11669", "0.x"):
        assert not change.not_yet(unknown) and not change.done(unknown)


@pytest.mark.parametrize(
    ("runtime", "image", "command"),
    [
        ("vllm", "vllm/vllm-openai:v0.22.0", "vllm serve {model} --omni --stage-configs-path x"),
        ("vllm", "vllm/vllm-omni:v0.22.0", "vllm serve {model} --stage-configs-path x"),
        ("sglang", "lmsysorg/sglang:v0.5.8", "sglang serve --model-path {model} --ulysses-degree=1 --zzz"),
    ],
)
def test_a_command_for_another_program_is_not_judged(runtime: str, image: str, command: str) -> None:
    given = load_text(f"model: a/b\nruntime: {runtime}\ncontainer: {image}\ncommand: {command}\n")
    assert [problem.code for problem in check_flags(render(given, {}))] == ["fork"]


@pytest.mark.parametrize(
    "image",
    [
        # Builds of a day, whatever release they are called after (the names of the images of lmsysorg).
        "lmsysorg/sglang-rocm:v0.5.17-rocm720-mi35x-20260821",
        "lmsysorg/sglang:nightly-dev-20260821",
        "acme/sglang:v0.5.17rc1",
        "acme/sglang:v0.5.17-patched",
    ],
)
def test_a_build_that_is_no_release_is_not_judged(image: str) -> None:
    given = load_text(f"model: a/b\nruntime: sglang\ncontainer: {image}\ncommand: sglang serve {{model}} --zzz 1\n")
    assert check_flags(render(given, {})) == ()


def test_what_a_shell_fills_in_is_not_read_as_json() -> None:
    command = """'{"a": ${BYTES}}'"""
    given = load_text(
        "model: a/b\nruntime: vllm\ncontainer: vllm/vllm-openai:v0.25.0\nenv: {BYTES: '1'}\ncommand: |\n"
        f"  vllm serve {{model}} --kv-transfer-config {command.replace('{', '{{').replace('}', '}}')}\n"
    )
    assert check_flags(render(given, {})) == ()


@pytest.mark.parametrize(
    ("runtime", "image", "nodes", "expected"),
    [
        ("vllm-distributed", "vllm/vllm-openai:v0.10.0", 2, ["joining-flag"]),
        ("vllm-distributed", "vllm/vllm-openai:v0.11.1", 2, []),
        ("vllm-distributed", "vllm/vllm-openai:latest", 2, []),
        ("vllm-distributed", "vllm/vllm-openai:v0.10.0", 1, []),
        ("vllm", "vllm/vllm-openai:v0.10.0", 2, []),
    ],
)
def test_several_hosts_need_an_image_that_knows_how_to_join_them(
    runtime: str, image: str, nodes: int, expected: list[str]
) -> None:
    what = load_text(
        f"model: a/b\nruntime: {runtime}\ncontainer: {image}\nmin_nodes: {nodes}\n"
        "defaults: {port: 8000}\ncommand: vllm serve {model} --port {port}\n"
    )
    found = engine_for(what.runtime).check(render(what, {}))
    assert [problem.code for problem in found] == expected
