"""A12: no line of a log can end it, nor hold the program up: numbers, defects of rules, and patterns."""

from __future__ import annotations

import ast
import inspect
import re
import time
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import pytest

from sparkrun_tui.base.reading.patterns import LinePattern, words_of
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.text import MAX_LINE, clean_line
from sparkrun_tui.engines.llama_cpp import causes as causes_llama
from sparkrun_tui.engines.llama_cpp import log as log_llama
from sparkrun_tui.engines.logs import causes, guard, lines, phases, rules
from sparkrun_tui.engines.logs.guard import RuleDefect, RuleGuard
from sparkrun_tui.engines.logs.lines import strip_prefixes
from sparkrun_tui.engines.logs.phases import PhaseReader
from sparkrun_tui.engines.registry import log_of
from sparkrun_tui.engines.sglang import causes as causes_sglang
from sparkrun_tui.engines.sglang import log as log_sglang
from sparkrun_tui.engines.vllm import causes as causes_vllm
from sparkrun_tui.engines.vllm import log as log_vllm
from sparkrun_tui.launch.diagnosis import common as causes_common
from sparkrun_tui.launch.diagnosis import diagnose as diagnosis
from sparkrun_tui.launch.diagnosis import host as causes_host
from sparkrun_tui.launch.diagnosis import image as causes_image
from sparkrun_tui.launch.diagnosis import network as causes_network
from sparkrun_tui.launch.diagnosis.diagnose import diagnose
from sparkrun_tui.launch.record.logs import LogLine
from tests.security import log_patterns
from tests.security.log_patterns import all_patterns, modules
from tests.security.worst_letters import matching_texts, worst_texts

ENGINES = ("vllm", "sglang", "llama-cpp")
NUMBERS = (
    "1.2.3",
    "...",
    "9" * 5000,
    "1" * 400 + ".5",
    "²",
    "٣",
    "0",
    "-0",
    "1e999",
    "nan",
    "",
    ",",
    "9" * 18,
    "0.0.0",
)
READERS = (
    phases,
    rules,
    lines,
    guard,
    log_llama,
    log_sglang,
    log_vllm,
    diagnosis,
    causes,
    causes_common,
    causes_host,
    causes_image,
    causes_network,
    causes_llama,
    causes_sglang,
    causes_vllm,
)

# Numbers and words a line may hold in place of those that a rule looks for.
SEEDS = (
    "Checkpoint size: {} GiB",
    "Loading weights took {} seconds",
    "Explicitly set ({}/{}) GiB for KV cache",
    "GPU KV cache size: {} tokens, Maximum concurrency for {} tokens per request: {}x",
    "Model loading took {} GiB and {} GiB for peak activation, and {} GiB for CUDAGraph memory",
    "Loading safetensors checkpoint shards:  {}% Completed",
    "Capturing CUDA graphs: {}%|",
    "max_total_num_tokens={}, chunked_prefill_size=-1, context_len={}",
    "KV Cache is allocated. #tokens: {}, K size: {} GB, V size: {} GB",
    "Load weight end. elapsed={} s, mem usage={} GB.",
    "load_tensors:  CUDA0 model buffer size = {} MiB",
    "llama_context: n_ctx  = {}",
    "initializing, n_slots = {}, n_ctx_slot = {}",
    "failed to allocate CUDA0 buffer of size {}",
    "Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static={}. "
    "Raise --mem-fraction-static above {}",
    "context_length ({}) is greater than the derived context_length ({})",
    "Free memory on device cuda:0 ({}/{} GiB) on startup is less than desired GPU memory utilization ({}, {} GiB)",
    "To serve at least one request with the models's max seq len ({}), ({} GiB KV cache is needed, which is larger "
    "than the available KV cache memory ({} GiB). The estimated maximum model length is {}",
    "The model's max seq len ({}) is larger than the maximum number of tokens that can be stored in KV cache ({})",
    "Total number of attention heads ({}) must be divisible by tensor parallel size ({})",
    "User-specified max_model_len ({}) is greater than the derived max_model_len (max_position_embeddings={}",
    "World size ({}) is larger than the number of available GPUs ({}) in this node",
    "Worker proc w died unexpectedly (exit code: {})",
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("number", NUMBERS)
def test_no_number_in_a_line_raises(engine: str, number: str) -> None:
    """Without `report` a defect is raised: none is, and no figure is infinite or out of all bounds."""
    reader = PhaseReader(log_of(engine))
    for seed in SEEDS:
        line = seed.replace("{}", number)
        reader.feed(line)
        diagnose(engine, {"a": [line]}, values={"max_model_len": number, "port": number, "ctx_size": number})
    assert all(abs(value) <= 1e18 for value in reader.facts.values())


def test_an_absurd_degree_does_not_hold_the_diagnosis_up() -> None:
    line = f"Total number of attention heads ({'7' * 18}) must be divisible by tensor parallel size ({'9' * 18})"
    found = diagnose("vllm", {"a": [line]})
    assert found is not None and found.title == "Heads cannot be split" and found.repairs[0].key == ""


def test_what_is_quoted_of_a_line_is_short() -> None:
    found = diagnose("vllm", {"a": ["vllm: error: unrecognized arguments: " + "--flag" * 1300]})
    assert found is not None
    texts = (found.explanation, found.evidence, *(repair.title + repair.why for repair in found.repairs))
    assert max(map(len, texts)) < 1500


def test_a_rule_with_a_defect_costs_nothing_else_and_is_told_once() -> None:
    def bad(number: int) -> int:
        return 1 // number

    told: list[RuleDefect] = []
    running = RuleGuard(told.append)
    assert [running.run("bad", -1, bad, number) for number in (1, 0, 0, 1)] == [1, -1, -1, 1]
    assert [running.run("worse", -1, bad, 0)] == [-1]
    assert [item.rule for item in told] == ["bad", "worse"]
    assert "ZeroDivisionError" in told[0].text and any("1 // number" in line for line in told[0].trace)


def test_a_defect_in_one_rule_leaves_the_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(match: re.Match[str], context: object) -> str:
        raise KeyError(match[0])

    bad = causes.Cause(LinePattern("OutOfMemoryError: CUDA"), "never shown", stumble)
    table = (bad, *diagnosis.causes_of("vllm"))
    monkeypatch.setattr(diagnosis, "causes_of", lambda _: table)
    told: list[RuleDefect] = []
    lines = ["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"] * 3
    found = diagnose("vllm", {"a": lines}, report=told.append)
    assert found is not None and found.title == "Out of GPU memory"
    assert len(told) == 1 and "KeyError" in told[0].error


def source_of(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


@pytest.mark.parametrize("module", READERS, ids=lambda module: module.__name__)
def test_numbers_of_lines_are_read_in_one_way_only(module: ModuleType) -> None:
    """`int` and `float` raise, and take digits of any script and any length: `base.numbers` is the way."""
    calls = {node.func.id for node in ast.walk(source_of(module)) if isinstance(node, ast.Call) and _is_name(node.func)}
    assert not calls & {"int", "float", "eval"}


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name)


def seconds(work: Callable[[], object]) -> float:
    """The least processor time of five runs: what else the machine does only adds."""
    best = float("inf")
    for _ in range(5):
        began = time.thread_time()
        work()
        best = min(best, time.thread_time() - began)
    return best


LARGE = 64 * 1024
FLOOR = 8.0
"""Times of a plain search below which nothing is looked at more closely: such times are mostly noise."""


def once(pattern: re.Pattern[str], text: str) -> float:
    began = time.thread_time()
    pattern.search(text)
    return time.thread_time() - began


def grows_too_fast(pattern: re.Pattern[str], reference: float, length: int = LARGE) -> str:
    """The beginning of a text for which four times the length take over eight times as long; empty without one."""
    for small, large in zip(worst_texts(pattern, length // 4), worst_texts(pattern, length), strict=True):
        least, most = once(pattern, small), 0.0
        if least < reference * FLOOR / 4:
            continue
        most = once(pattern, large)
        if most <= reference * FLOOR or most <= 6 * least:
            continue
        if most > reference * FLOOR and all(_grows(pattern, small, large) for _ in range(3)):
            return small[:60]
    return ""


def _grows(pattern: re.Pattern[str], small: str, large: str) -> bool:
    """Whether a text of four times the length takes over eight times as long."""
    least = seconds(lambda: pattern.search(small))
    return seconds(lambda: pattern.search(large)) > 8 * least


@pytest.mark.parametrize("reader", log_patterns.READERS)
def test_every_reader_of_logs_is_still_where_it_was(reader: str) -> None:
    """A module that moves must not leave the search for patterns."""
    assert [name for name in modules() if name.startswith(reader)]


def test_every_pattern_takes_time_in_proportion_to_the_line() -> None:
    patterns = all_patterns()
    assert len(patterns) > 150 and any("peak activation" in text for text in patterns)
    plain = re.compile(r"[^\x00]*\x00")
    line = "x" * LARGE
    reference = seconds(lambda: plain.match(line))
    bad = {text: found for text, pattern in patterns.items() if (found := grows_too_fast(pattern, reference))}
    assert bad == {}


@pytest.mark.parametrize("pattern", [r"([\d.]+) GiB", r"one.*two", r"^a[^%]*?(\d+)%", r"x\w*y\w*z$"])
def test_patterns_that_do_not_are_found(pattern: str) -> None:
    plain = re.compile(r"[^\x00]*\x00")
    line = "x" * (LARGE // 8)
    assert grows_too_fast(re.compile(pattern), seconds(lambda: plain.match(line)), LARGE // 8)


NOT_LINES = (
    "sparkrun_tui.launch.record.journal",
    "sparkrun_tui.launch.record.log_files",
    "sparkrun_tui.launch.run.steps.start",
)
"""Modules that make patterns in place for other things than lines: names of files and of hosts."""


def test_no_pattern_is_made_where_a_line_is_read() -> None:
    """Patterns stand in modules and tables, where the tests above find them; not inside functions."""
    inline = {"match", "search", "sub", "findall", "finditer", "fullmatch", "split"}
    found = []
    for name in modules():
        for node in ast.walk(source_of(import_module(name))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            base = node.func.value
            if isinstance(base, ast.Name) and base.id == "re" and node.func.attr in inline:
                found.append(f"{name}:{node.lineno}")
    assert [place for place in found if not place.startswith(NOT_LINES)] == []


def test_the_words_of_a_pattern_are_in_all_that_it_matches() -> None:
    checked = 0
    for text, pattern in all_patterns().items():
        words = words_of(text)
        for example in matching_texts(pattern):
            if words and pattern.search(example):
                checked += 1
                assert any(word in example for word in words), text
    assert checked > 200


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"Model loading took ([\d.]+) GiB", ("Model loading took ",)),
        (r"colou?rs of things", ("rs of things",)),
        (r"\[Errno 98\].{0,9}in use|port taken", ("[Errno 98]", "port taken")),
        (r"(?:one|two) dogs|ab", ()),
        (r"(?i)anything", ()),
        (r"[]a-z] word (?:x(y)[)]z)tail", (" word ",)),
        (r"^done\.$", ("done.",)),
        (r"abcd{2}efgh", ("efgh",)),
    ],
)
def test_words_of_patterns(pattern: str, words: tuple[str, ...]) -> None:
    assert words_of(pattern) == words


WORST_LINES = (
    "vLLM " + "." * MAX_LINE,
    "(a pid=1) " * 900,
    "Error" * 1700 + "!",
    "A.Error" * 1200,
    "\x1b" * MAX_LINE,
    "\x1b]0;" * 2000,
    "NCCL WARN " * 900 + "CUDA out of memory",
    "://a:" * 1700,
    "sk-" * 2800,
)


@pytest.mark.parametrize("line", WORST_LINES, ids=[line[:12].encode("unicode_escape").decode() for line in WORST_LINES])
def test_what_reads_a_line_takes_time_in_proportion_to_it(line: str) -> None:
    """The whole way of a line: made clean, without secrets, its prefixes off, its phase and its cause read."""
    redact = Redactor(["some-secret-word", "another-secret-word"])

    def whole_way(text: str) -> None:
        clean = redact(clean_line(text))
        strip_prefixes(clean)
        PhaseReader(log_of("vllm")).feed(clean)
        diagnose("vllm", {"a": [LogLine(0.0, "stdout", clean)]})

    quarter = line[: len(line) // 4]
    tries = (seconds(lambda: whole_way(line)) < 8 * max(seconds(lambda: whole_way(quarter)), 0.002) for _ in range(3))
    assert any(tries)


def test_a_line_is_cut_before_any_rule_sees_it() -> None:
    assert len(strip_prefixes("x" * 1_000_000).text) < MAX_LINE + 100
