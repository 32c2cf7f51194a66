"""What the command line asks of an engine, as the memory estimator takes it."""

from __future__ import annotations

import pytest

from sparkrun_tui.memory.settings import AUTO_LENGTH, EngineSettings, Speculative
from sparkrun_tui.recipe.values.shellwords import serve_argv
from tests.support.settings import settings_of


def read(command: str, engine: str = "vllm") -> EngineSettings:
    """Settings of a command line."""
    return settings_of(engine, serve_argv(command))


def test_a_command_that_starts_no_engine_is_said_to_be_so() -> None:
    found = read("./start.sh --max-model-len 4096")
    assert found.max_model_len == 4096
    assert "does not start vLLM" in found.notes[0]


@pytest.mark.parametrize(
    ("engine", "words", "field", "value"),
    [
        ("vllm", "vllm serve m --max-model 4096", "max_model_len", 4096),
        ("vllm", "vllm serve m --gpu-memory-util 0.7", "utilisation", 0.7),
        ("vllm", "vllm serve m --no-enable-prefix-cach", "prefix_caching", False),
        ("vllm", "vllm serve m --enforce-e", "enforce_eager", True),
        ("sglang", "sglang serve m --mem-fraction-s 0.7", "utilisation", 0.7),
        ("sglang", "sglang serve m --tensor-parallel 2", "tensor_parallel", 2),
    ],
)
def test_abbreviated_flags_count_as_the_engine_takes_them(engine: str, words: str, field: str, value: object) -> None:
    assert getattr(read(words, engine), field) == value


def test_an_ambiguous_abbreviation_is_not_guessed() -> None:
    assert read("vllm serve m --max-num 4").max_num_seqs is None


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        ("--max_model_len=32k", "max_model_len", 32000),
        ("--max-model-len 32K", "max_model_len", 32768),
        ("--max-model-len auto", "max_model_len", AUTO_LENGTH),
        ("--max-model-len 1024 --max-model-len 2048", "max_model_len", 2048),
        ("-tp 2", "tensor_parallel", 2),
        ("--no-enable-prefix-caching", "prefix_caching", False),
        ("--no-async-scheduling", "async_scheduling", False),
        ("--disable-hybrid-kv-cache-manager", "hybrid_kv_cache", False),
        ("--enforce-eager", "enforce_eager", True),
        ("--kv-cache-memory-bytes 4G", "kv_cache_memory_bytes", 4 << 30),
        ("--language-model-only", "text_only", True),
        ("--moe-backend marlin", "moe_backend", "marlin"),
        ("--mm-encoder-tp-mode data", "mm_encoder_tp_mode", "data"),
        ("""--limit-mm-per-prompt '{"image": 0, "video": 0}'""", "text_only", True),
        ("""--limit-mm-per-prompt '{"image": 2}'""", "text_only", False),
        ("--kv-cache-dtype FP8", "kv_cache_dtype", "fp8"),
    ],
)
def test_flags_are_read_as_vllm_reads_them(words: str, field: str, value: object) -> None:
    assert getattr(read(f"vllm serve org/model {words}"), field) == value


@pytest.mark.parametrize(
    "words",
    [
        """--speculative-config '{"method": "mtp", "num_speculative_tokens": 2}'""",
        "--speculative-config.method mtp --speculative-config.num_speculative_tokens 2",
        "--spec-method mtp --spec-tokens 2",
    ],
)
def test_speculation_in_its_three_spellings(words: str) -> None:
    assert read(f"vllm serve org/model {words}").speculative == Speculative("mtp", 2)


def test_what_the_engine_would_not_take_becomes_a_note() -> None:
    found = read("vllm serve org/model --max-model-len lots --gpu-memory-utilization 80")
    assert (found.max_model_len, found.utilisation) == (None, None)
    assert len(found.notes) == 2
    assert "--max-model-len lots" in found.notes[0]


def test_flags_behind_the_next_shell_command_do_not_count() -> None:
    assert read("vllm serve org/model && echo --max-model-len 5").max_model_len is None


def test_sglang_abbreviations_and_words() -> None:
    found = read(
        "python3 -m sglang.launch_server --tp 2 --context-len 8192 --mem-fraction-static 0.7 --disable-radix-cache",
        engine="sglang",
    )
    assert (found.tensor_parallel, found.max_model_len, found.utilisation) == (2, 8192, 0.7)
    assert found.prefix_caching is False


def test_llama_server_words() -> None:
    found = read("llama-server -hf org/m:Q4_K_M -c 16384 -np 4 -ctk q8_0 -fit off --no-mmap", engine="llama-cpp").llama
    assert (found.ctx_size, found.parallel, found.cache_type_k, found.fit) == (16384, 4, "q8_0", False)
    assert found.no_mmap


def test_the_cache_layout_comes_from_the_environment() -> None:
    assert settings_of("vllm", (), "", {"VLLM_KV_CACHE_LAYOUT": "blhnc"}).kv_cache_layout == "BLHNC"
