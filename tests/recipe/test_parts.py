"""Parameter counts, dtypes, images, engines, topology, fields, variables."""

from __future__ import annotations

import pytest

from sparkrun_tui.engines.fields.declared import FIELDS, FieldType, field_for
from sparkrun_tui.engines.fields.filled import fields_of
from sparkrun_tui.engines.layout.hosts import degrees, hosts_wanted
from sparkrun_tui.engines.registry import ENGINES, FAMILIES, family_of
from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.recipe.model import Mode, Severity, Value
from sparkrun_tui.recipe.names.detect import split_gguf
from sparkrun_tui.recipe.names.dtypes import known_dtype
from sparkrun_tui.recipe.names.images import Image, parse_image
from sparkrun_tui.recipe.names.params import format_params, parse_params
from sparkrun_tui.recipe.search.entry import hosts_text, params_text
from sparkrun_tui.recipe.search.summary import entry_of
from sparkrun_tui.recipe.suggestions import nearest
from sparkrun_tui.recipe.values.environment import allowed, expand_env, references, wanted
from sparkrun_tui.recipe.values.overrides import render

from .samples import FULL, codes, minimal, recipe


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("1.7B", (1_700_000_000, None)),
        ("30B", (30_000_000_000, None)),
        ("397b", (397_000_000_000, None)),
        ("350M", (350_000_000, None)),
        ("1.5e9", (1_500_000_000, None)),
        ("1500000000", (1_500_000_000, None)),
        ("30_000_000_000", (30_000_000_000, None)),
        ("35B-A3B", (35_000_000_000, 3_000_000_000)),
        ("8x7B", (56_000_000_000, None)),
        ("1T", (10**12, None)),
        ("30 B", (30_000_000_000, None)),
        ("lots", None),
        ("", None),
        ("-3B", None),
        ("0B", None),
        ("1e400", None),
        ("3B-A30B", None),
        ("30BB", None),
    ],
)
def test_parameter_counts(text: str, result: tuple[int, int | None] | None) -> None:
    assert parse_params(text) == result


VLLM = FAMILIES["vllm"]


def test_parameter_counts_are_shown_short() -> None:
    assert [format_params(n) for n in (1_700_000_000, 30_000_000_000, 350_000_000, 10**12, 5)] == [
        "1.7B", "30B", "350M", "1T", "5",
    ]  # fmt: skip


DTYPES = (
    "bf16 BF16 bfloat16 torch.float16 fp8 FP8_E4M3 nvfp4 int8 int4 q4_k_m Q8_0 q4_k_xl iq2_m UD-Q4_K_M exl3 auto "
    "{dtype} w4a16 mxfp4 awq4 fp4 q3_k_m"
)


@pytest.mark.parametrize("word", DTYPES.split())
def test_known_dtypes(word: str) -> None:
    assert known_dtype(word)


@pytest.mark.parametrize("word", ["bf17", "banana", "q99", "30B", "int4-banana", "mix", "banana-int4", "fp"])
def test_unknown_dtypes(word: str) -> None:
    assert not known_dtype(word)


@pytest.mark.parametrize("word", ["int4-int8mix", "nvfp4-w4a16", "NVFP4-W4A4-FP8-mixed", "fp8_block", "int4_autoround"])
def test_dtypes_of_mixed_checkpoints(word: str) -> None:
    assert known_dtype(word)


def test_images() -> None:
    assert parse_image("registry.example:5000/a/b_c:1.2-x") == Image("registry.example:5000/a/b_c", "1.2-x")
    digest = "sha256:" + "a" * 64
    assert parse_image(f"a/b:1@{digest}") == Image("a/b", "1", digest)
    assert parse_image("local-name") == Image("local-name")
    for wrong in ("", "a b", "a/B:1", "a/b:", "http://a/b", "a//b", "-x", "a/b:1;rm", "$(x)", "a" * 600, "a\n"):
        assert parse_image(wrong) is None
    pinned, latest = parse_image(f"a@{digest}"), parse_image("a:latest")
    assert pinned is not None and pinned.pinned and not pinned.moving
    assert latest is not None and latest.moving and not latest.pinned


@pytest.mark.parametrize(
    ("text", "runtime"),
    [
        ("model: m", "vllm"),
        ("model: m\ncommand: vllm serve m", "vllm"),
        ("model: m\ncommand: python3 -m sglang.launch_server", "sglang"),
        ("model: m\ncommand: sglang serve m", "sglang"),
        ("model: m\ncommand: |\n  # like vllm\n  /app/llama-server -hf m", "llama-cpp"),
        ("model: m\ncommand: vllm serve sglang/model", "vllm"),
        ('recipe_version: "1"\nmodel: m\ncommand: llama-server', "eugr-vllm"),
        ("model: m\nmods: []", "vllm"),
        ("model: m\nbuild_args:", "vllm"),
        ("model: m\nmods: [a]", "eugr-vllm"),
        ("model: m\nmods: [a]\ncommand: vllm serve m", "eugr-vllm"),
        ("model: m\nmods: [a]\ncommand: llama-server -m x", "llama-cpp"),
        ("model: m\nmods: [a]\ncommand: python3 -m sglang.launch_server", "sglang"),
        ('recipe_version: "1"\nmodel: m\nruntime: vllm', "eugr-vllm"),
        ('recipe_version: "1"\nmodel: m\nruntime: sglang', "sglang"),
        ("model: m\ncommand: trtllm-serve m --port 8000", "trtllm"),
        ("model: m\nruntime_config: {build_args: [x]}", "eugr-vllm"),
        ("model: m\nmods: [a]\nruntime: vllm", "vllm"),
        ("model: m\nruntime: vllm-ray", "vllm"),
        ("model: m\nruntime: vllm-distributed", "vllm-distributed"),
        ("model: m\nruntime: atlas", "atlas"),
    ],
)
def test_engines_are_detected(text: str, runtime: str) -> None:
    got = recipe(text)
    assert got.runtime == runtime
    assert (got.runtime in ENGINES) == (runtime not in ("atlas", "trtllm"))


def test_what_runtime_config_says_wins_over_a_key_at_the_top() -> None:
    got = recipe("model: m\nmods: [b]\nruntime_config: {mods: [a]}\nbuild_args: [x]\n")
    assert got.runtime_config == {"mods": ["a"], "build_args": ["x"]}


def test_gguf_quantisation_is_behind_the_last_colon() -> None:
    assert split_gguf("a/b:Q8_0") == ("a/b", "Q8_0")
    assert split_gguf("a/b") == ("a/b", "")
    assert split_gguf("x:1/a/b") == ("x:1/a/b", "")


@pytest.mark.parametrize(
    ("text", "mode", "low", "high"),
    [
        ("", Mode.AUTO, 1, None),
        ("min_nodes: 2", Mode.CLUSTER, 2, None),
        ("max_nodes: 1", Mode.SOLO, 1, 1),
        ("max_nodes: 4", Mode.AUTO, 1, 4),
        ("mode: solo", Mode.SOLO, 1, 1),
        ("mode: cluster", Mode.CLUSTER, 2, None),
        ("mode: cluster\nmin_nodes: 3", Mode.CLUSTER, 3, None),
        ("solo_only: true", Mode.SOLO, 1, 1),
        ("cluster_only: true", Mode.CLUSTER, 2, None),
        ("cluster_only: yes\nmin_nodes: 4", Mode.CLUSTER, 4, None),
        ("mode: auto\nsolo_only: false", Mode.AUTO, 1, None),
    ],
)
def test_topology(text: str, mode: Mode, low: int, high: int | None) -> None:
    got = recipe(f"model: m\n{text}\n")
    assert (got.mode, got.min_nodes, got.max_nodes) == (mode, low, high)
    assert got.problems == ()


@pytest.mark.parametrize(
    "text",
    [
        "min_nodes: 3\nmax_nodes: 2",
        "solo_only: true\ncluster_only: true",
        "mode: cluster\nmax_nodes: 1",
        "mode: cluster\nsolo_only: true",
        "cluster_only: true\nmax_nodes: 1",
    ],
)
def test_topology_that_contradicts_itself_is_reported(text: str) -> None:
    got = recipe(f"model: m\n{text}\n")
    assert set(codes(got.problems)) == {"topology"}
    assert any(problem.severity is Severity.ERROR for problem in got.problems)
    assert all(problem.spot is not None for problem in got.problems)


def test_min_nodes_makes_a_cluster_whatever_mode_says() -> None:
    got = recipe("model: m\nmode: solo\nmin_nodes: 2\n")
    assert (got.mode, got.min_nodes, got.max_nodes) == (Mode.CLUSTER, 2, None)
    # It runs as a cluster, so it is told and does not stop a launch.
    assert [(problem.code, problem.severity) for problem in got.problems] == [("topology", Severity.WARNING)]
    both = recipe("model: m\nmode: solo\nmin_nodes: 3\nmax_nodes: 2\n")
    assert Severity.ERROR in [problem.severity for problem in both.problems]


def test_number_of_hosts_and_why() -> None:
    auto = minimal("vllm serve {model} -tp {tensor_parallel}", "{tensor_parallel: 1, pipeline_parallel: 1}")
    assert hosts_wanted(render(auto, {"tensor_parallel": "2"}), VLLM, 4).count == 2
    assert hosts_wanted(render(auto, {"tensor_parallel": "2", "pipeline_parallel": "2"}), VLLM, 8).count == 4
    assert hosts_wanted(render(auto, {"tensor_parallel": "4"}), VLLM, 8, gpus_per_host=2).count == 2
    short = hosts_wanted(render(auto, {"tensor_parallel": "8"}), VLLM, 3)
    assert (short.count, short.short) == (3, 5)
    assert "cluster has 3" in short.reason
    clipped = hosts_wanted(render(minimal("vllm serve m -tp 4", extra="max_nodes: 2"), {}), VLLM, 8)
    assert clipped.count == 2 and "max_nodes 2" in clipped.reason
    least = hosts_wanted(render(minimal("vllm serve m", extra="min_nodes: 3"), {}), VLLM, 8)
    assert least.count == 3 and "at least 3" in least.reason
    assert hosts_wanted(render(minimal("vllm serve m -tp 2", extra="max_nodes: 1"), {}), VLLM, 8).count == 1


def test_degrees_come_from_the_command_before_the_chain() -> None:
    literal = minimal("vllm serve m --tensor-parallel-size=4 -pp 2", "{tensor_parallel: 1}")
    assert degrees(render(literal, {}), VLLM) == {
        "tensor_parallel": 4,
        "pipeline_parallel": 2,
        "data_parallel": 1,
    }
    bare = recipe("model: m\ndefaults: {tensor_parallel: 2, data_parallel: x}\n")
    assert degrees(render(bare, {}), None) == {"tensor_parallel": 2, "pipeline_parallel": 1, "data_parallel": 1}


def test_node_ranges_in_words() -> None:
    texts = [hosts_text(recipe(f"model: m\n{extra}\n")) for extra in ("", "max_nodes: 1", "min_nodes: 2\nmax_nodes: 4")]
    assert texts == ["1+", "1", "2-4"]
    assert hosts_text(entry_of(recipe("model: m\nmax_nodes: 3\n"), search_words())) == "1-3"


def test_parameters_in_words() -> None:
    assert params_text(recipe(FULL)) == params_text(entry_of(recipe(FULL), search_words())) == "30B-A3B"
    assert params_text(recipe("model: m\n")) == ""


def test_every_declared_field_is_whole() -> None:
    for key, field in FIELDS.items():
        assert key == field.key and field.title and field.help
        assert field.help.endswith(".")
        for value in field.values:
            assert field.check(value) == ""
        assert any(key in family.flags.by_key for family in FAMILIES.values())
    assert (FIELDS["port"].option, FIELDS["tensor_parallel"].option) == ("--port", "--tp")
    assert FIELDS["gpu_memory_utilization"].option == "--gpu-mem"


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("port", ["1", "65535"], ["0", "65536", "x", "80.5", "true", ""]),
        ("gpu_memory_utilization", ["0.01", "1", "1.0"], ["0", "1.01", "108", "nan", ".nan", "half"]),
        ("max_model_len", ["1", "200000", "auto", "-1"], ["0", "much"]),
        ("trust_remote_code", ["true", "no"], ["maybe", "1"]),
        ("cache_type_k", ["q8_0"], ["q9"]),
        ("n_gpu_layers", ["99", "-1", "all"], ["many"]),
    ],
)
def test_checks_of_fields(key: str, good: list[str], bad: list[str]) -> None:
    field = field_for(key)
    assert [field.check(text) for text in good] == [""] * len(good)
    assert all(field.check(text) for text in bad)


def test_steps_stay_within_the_limits() -> None:
    share, port, cache = field_for("gpu_memory_utilization"), field_for("port"), field_for("cache_type_k")
    assert (
        share.stepped("0.80", 1) == "0.81" and share.stepped("0.995", 1) == "1" and share.stepped("0.01", -1) == "0.01"
    )
    assert port.stepped("8000", -1) == "7999" and port.stepped("1", -1) == "1" and port.stepped("x", 1) == "x"
    assert cache.stepped("f32", 1) == "f16" and field_for("enforce_eager").stepped("true", 1) == "false"


def test_unknown_keys_get_the_type_of_their_default() -> None:
    kinds = [
        field_for("my_key", value).type
        for value in (Value(1, "1"), Value(0.5, "0.5"), Value(True, "true"), Value("a", "a"), Value([], "[]"), None)
    ]
    assert kinds == [FieldType.INT, FieldType.FLOAT, FieldType.BOOL, FieldType.TEXT, FieldType.JSON, FieldType.TEXT]
    assert field_for("my_key").title == "My key" and not field_for("my_key").known


def test_fields_of_a_recipe_put_known_ones_first() -> None:
    base = minimal("x", "{zeta: 1, port: 1, alpha: x}")
    assert [field.key for field in fields_of(base, ["host", "extra"])] == ["port", "host", "zeta", "alpha", "extra"]


def test_engines_of_runtimes() -> None:
    names = ("vllm", "vllm-distributed", "eugr-vllm", "sglang", "llama-cpp")
    assert [family_of(name).name for name in names] == ["vllm", "vllm", "vllm", "sglang", "llama-cpp"]
    assert family_of("atlas") is None


def test_variables_are_expanded_once_and_unset_ones_stay() -> None:
    base = recipe("model: m\nenv:\n  A: ${X}-$Y_1-${NOPE}-$$-${bad\n  B: plain\n  C: '${Z}'\n")
    env = expand_env(base, {"X": "1", "Y_1": "2", "Z": "${X}"})
    assert env == {"A": "1-2-${NOPE}-$$-${bad", "B": "plain", "C": "${X}"}


def test_only_allowed_or_consented_variables_reach_a_foreign_recipe() -> None:
    base = recipe("model: m\nenv: {A: '${AWS_SECRET_ACCESS_KEY}', B: '$HF_TOKEN', C: '${NCCL_DEBUG}', '${K}': x}\n")
    environ = {"AWS_SECRET_ACCESS_KEY": "s", "HF_TOKEN": "t", "NCCL_DEBUG": "INFO", "K": "no"}
    assert expand_env(base, environ, ())["A"] == "${AWS_SECRET_ACCESS_KEY}"
    assert expand_env(base, environ, ())["B"] == "t"
    assert expand_env(base, environ, {"AWS_SECRET_ACCESS_KEY"})["A"] == "s"
    assert "${K}" in expand_env(base, environ)
    names = {want.name: (want.is_set, want.allowed, want.secret) for want in wanted(base, {"HF_TOKEN": ""})}
    assert names == {
        "AWS_SECRET_ACCESS_KEY": (False, False, True),
        "HF_TOKEN": (True, True, True),
        "NCCL_DEBUG": (False, True, False),
    }
    assert not allowed("PATH") and allowed("https_proxy")


def test_references_in_order() -> None:
    assert references("$B ${A} $B ${A:-x}") == ("B", "A")


def test_the_nearest_word() -> None:
    known = ["gpu_memory_utilization", "max_model_len", "port", "tensor_parallel"]
    assert nearest("gpu_memory_usage", known) == "gpu_memory_utilization"
    assert nearest("max-model-len", known) == "max_model_len"
    assert nearest("prot", known) == "port"
    assert nearest("something_else", known) == ""


def test_the_full_sample_is_what_the_other_tests_think() -> None:
    assert recipe(FULL).runtime in ENGINES
