"""Targets: lines of logs, and the gate that foreign text passes before it is shown."""

from __future__ import annotations

import re
import sys
import types
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from random import Random
from re import _constants as codes  # type: ignore[attr-defined]  # the parser of patterns has no public name
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from sparkrun_tui.base.reading.patterns import LinePattern
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.text import MAX_LINE, clean_line, clean_text, shorten
from sparkrun_tui.engines.logs.phases import PhaseReader
from sparkrun_tui.engines.registry import FAMILIES, log_of
from sparkrun_tui.launch.diagnosis.diagnose import ExitInfo, diagnose
from sparkrun_tui.launch.run.steps.start import ray_nodes
from sparkrun_tui.remote.script.lines import LineSplitter
from tests.fuzz import mutate
from tests.fuzz.target import Target, insist, timed

_ENGINES = ("vllm", "sglang", "llama-cpp")
_LINES = (
    "INFO 11-30 01:02:03 [gpu_model_runner.py:1338] Model loading took 27.1234 GiB and 12.345678 seconds",
    "INFO 11-30 01:02:03 [gpu_worker.py:298] Available KV cache memory: 61.19 GiB",
    "INFO 11-30 01:02:03 [kv_cache_utils.py:864] GPU KV cache size: 668,320 tokens",
    "INFO [kv_cache_utils.py:868] Maximum concurrency for 32,768 tokens per request: 20.40x",
    "(EngineCore_DP0 pid=99) INFO Loading safetensors checkpoint shards:  43% Completed | 3/7 [00:01<00:02,  1.9it/s]",
    "vLLM: 1.5 GiB for peak activation, Checkpoint size: 12.3 GiB. Available RAM: 99.1 GiB.",
    "(Worker_TP0 pid=12) ERROR torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
    "ValueError: Free memory on device (60.1/121.7 GiB) on startup is less than desired GPU memory utilization"
    " (0.9, 109.5 GiB).",
    "To serve at least one request with the models's max seq len (131072), (16.0 GiB KV cache is needed, which is"
    " larger than the available KV cache memory (9.2 GiB). Based on the available memory, the estimated maximum"
    " model length is 75000.",
    "[2026-11-30 01:02:03 TP0] KV Cache is allocated. #tokens: 425984, K size: 13.00 GB, V size: 13.00 GB",
    "[2026-11-30 01:02:03] max_total_num_tokens=425984, chunked_prefill_size=8192, context_len=131072",
    "[2026-11-30 01:02:03 TP0] Capture cuda graph end. Time elapsed: 8.1 s. mem usage=1.25 GB. avail mem=20.1 GB.",
    "load_tensors:        CUDA0 model buffer size = 17524.42 MiB",
    "llama_kv_cache: size = 4096.00 MiB ( 32768 cells,  32 layers,  1/1 seqs), K (f16): 2048.00 MiB",
    "llama_context: n_ctx         = 32768",
    "srv    load_model: initializing, n_slots = 4, n_ctx_slot = 8192",
    "common_params_fit_impl: projected to use 31999 MiB of device memory vs. 24000 MiB of free device memory",
    "main: server is listening on http://0.0.0.0:8080 - starting the main loop",
    "INFO:     Application startup complete.",
    "OSError: [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use",
    "\x1b[1;36m(APIServer pid=1)\x1b[0;0m INFO it starts\r\x1b[2K 50%|#####     | 5/10",
    "======== Autoscaler status ========\nActive:\n 1 node_8166adfe\n 2 node_abc\nPending:\n (no pending nodes)",
)


_LONG = tuple(
    "\n".join([f"{word} {piece * (8000 // len(piece))}"] * 4)
    for word in ("vLLM", "GiB", "CUDA error:", "")
    for piece in (".", "1.", "9", " ", "(", "1 GiB for ", "a_", "[", "x=", "\x1b[")
)
"""Lines as long as the longest that are kept, four at a time: no pattern may look at each rest of them anew."""


def log(folders: tuple[Path, ...]) -> Target:
    """Lines of engines' logs: phases and figures of each engine, cleaner, redactor, diagnosis, Ray's status."""
    patterns = tuple(sorted({pattern.pattern for pattern in _patterns()}))
    more = [line for folder in folders for path in sorted(folder.rglob("*.log")) for line in _read_lines(path)]
    seeds = (*_LINES, *more)

    def make(chance: Random) -> bytes:
        lines = []
        for _ in range(chance.choice([1, 3, 8])):
            kind = chance.randrange(10)
            if kind < 5:
                lines.append(_likely(chance, chance.choice(patterns)))
            else:
                lines.append(mutate.text(chance, chance.choice(seeds)))
        return mutate.encoded("\n".join(lines))[: mutate.MOST]

    return Target(make, _read_log, tuple(mutate.encoded(line) for line in (*_LONG, *seeds)))


def _read_lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if len(line) < 2000]


def _read_log(data: bytes) -> None:
    """Read lines as a launch of each engine would; a launch reads its log once, so each reading is a step."""
    splitter = LineSplitter()
    lines = timed(lambda: [*splitter.feed(data), *splitter.flush()])
    redact = Redactor(["canary-of-the-key-1"])
    shown = timed(lambda: [redact(clean_line(line)) for line in lines])
    timed(ray_nodes, "\n".join(lines))
    values = {"max_model_len": "32768", "gpu_memory_utilization": "0.8", "port": "8000"}
    for engine in _ENGINES:
        timed(_follow, engine, shown)
        ended = {"spark-01": ExitInfo(1)}
        timed(diagnose, engine, {"spark-01": shown}, ended, values=values, memory_total=128 << 30)


def _follow(engine: str, lines: list[str]) -> None:
    reader = PhaseReader(log_of(engine))
    for line in lines:
        reader.feed(line)
    for figure in reader.facts.values():
        f"{figure:.1f}"


def _patterns() -> Iterable[re.Pattern[str]]:
    """Every pattern that the modules of logs hold: they are found in whatever tables they stand."""
    seen: set[int] = set()
    names = (
        "sparkrun_tui.engines.",
        "sparkrun_tui.launch.diagnosis.diagnose",
    )
    waiting: list[Any] = [vars(module) for name, module in sys.modules.items() if name.startswith(names)]
    for family in FAMILIES.values():
        waiting += [re.compile(mark.pattern) for mark in family.log.marks]
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, types.ModuleType | str):
            continue
        seen.add(id(item))
        if isinstance(item, re.Pattern):
            if isinstance(item.pattern, str):
                yield item
        elif isinstance(item, LinePattern):
            yield item.regex
        elif isinstance(item, Mapping):
            waiting += [value for key, value in item.items() if not str(key).startswith("__")]
        elif isinstance(item, tuple | list | frozenset | set):
            waiting += item
        elif is_dataclass(item) and not isinstance(item, type):
            waiting += [getattr(item, field.name) for field in fields(item)]


def _likely(chance: Random, pattern: str) -> str:
    """A text that a pattern finds, its numbers absurd more often than not, with something before and behind."""
    found = _sample(chance, parser.parse(pattern), 0)
    if not mutate.rare(chance, 4):
        found = mutate.text(chance, found)
    head = chance.choice(
        ["", "", "ERROR ", "(EngineCore pid=9) ERROR 11-30 01:02:03 [core.py:1] ", "[2026-11-30 01:02:03 TP0] "]
    )
    return head + found


def _sample(chance: Random, parsed: Any, depth: int) -> str:
    return "".join(_one(chance, code, value, depth) for code, value in parsed) if depth < 12 else ""


def _one(chance: Random, code: Any, value: Any, depth: int) -> str:
    if code is codes.LITERAL:
        return chr(value)
    if code is codes.NOT_LITERAL:
        return "x" if value != ord("x") else "y"
    if code is codes.ANY:
        return chance.choice("ab1. \t")
    if code is codes.IN:
        return _member(chance, value)
    if code is codes.BRANCH:
        return _sample(chance, chance.choice(value[1]), depth + 1)
    if code is codes.SUBPATTERN:
        return _sample(chance, value[-1], depth + 1)
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        least, most, inner = value
        wanted = chance.choice([least, least + 1, least + 3])
        if mutate.rare(chance, 60):
            wanted = chance.choice([400, 4000])
        return "".join(_sample(chance, inner, depth + 1) for _ in range(min(wanted, int(most))))
    return ""


def _member(chance: Random, members: Any) -> str:
    code, value = chance.choice(members)
    if code is codes.NEGATE:
        return chance.choice("xyz 1-")
    if code is codes.RANGE:
        return chr(chance.randint(*value))
    if code is codes.LITERAL:
        return chr(value)
    if code is codes.CATEGORY:
        kind = str(value)
        if "DIGIT" in kind:
            return chance.choice("0123456789²٣") if mutate.rare(chance, 30) else chance.choice("0123456789")
        return " " if "SPACE" in kind and "NOT" not in kind else chance.choice("aZ9_")
    return ""


def gate(folders: tuple[Path, ...]) -> Target:
    """Any text: no control character, no direction mark and no lone surrogate is left of it."""
    seeds = [
        mutate.encoded("".join(mutate.TEXTS)),
        b"\x1b]8;;http://x\x07y\x1b]8;;\x07",
        b"a\rb\x9b1mc",
        "é\u202ex".encode(),
    ]

    def make(chance: Random) -> bytes:
        if mutate.rare(chance, 3):
            return mutate.raw(chance, chance.choice(seeds))
        pieces = [chance.choice(mutate.TEXTS) for _ in range(chance.choice([2, 5, 20]))]
        pieces += [chr(chance.randrange(0xA0)) for _ in range(5)] + [chr(chance.randrange(0x110000))]
        chance.shuffle(pieces)
        return mutate.encoded("".join(pieces))

    return Target(make, _read_gate, tuple(seeds))


def _read_gate(data: bytes) -> None:
    for text in (
        data.decode("utf-8", "replace"),
        data.decode("latin-1"),
        data.decode("utf-8", "surrogatepass") if _ok(data) else "",
    ):
        check_gate(text)


def check_gate(text: str) -> None:
    """What the gate promises of any text."""
    line, several = clean_line(text), clean_text(text)
    insist(not any(map(_steers, line)), "a control character is left of a line")
    insist(not any(map(_steers, several.replace("\n", ""))), "a control character is left of a text")
    insist(
        len(line) > MAX_LINE or clean_line(line) == line, "a line that passed the gate is changed by passing it again"
    )
    for width in (0, 1, 7):
        insist(len(shorten(line, width)) <= width, "a shortened line is too long")


def _ok(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\ufeff")


def _steers(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs") or char in _DIRECTIONS
