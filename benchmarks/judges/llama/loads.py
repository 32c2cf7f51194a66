"""Loads made-up files with a release's llama-server: as long as it names a tensor that it misses, the file gets it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.judges.environment import JudgeError
from benchmarks.judges.llama import gguf
from benchmarks.judges.llama.log import Load
from benchmarks.judges.llama.server import Server

SECONDS = 120
"""How long one load may take; a plan takes less than one."""

MOST_TRIES = 3000
"""Loads that look for a model's tensors; each finds one or a row of them."""

_EXACT_BELOW = 2 << 30
"""Bytes of a file that is mapped; of a larger one the plan's whole MiB are within 0.05 %."""

_UNKNOWN: gguf.Shape = (1,)
_BLOCK = re.compile(r"blk\.(\d+)\.(.*)")


_UNASKED = {
    "ssm_conv1d.weight": ("attn_qkv.weight", "attn_gate.weight", "ssm_conv1d.bias"),
    "ffn_up_exps.weight": ("ffn_gate_exps.weight",),
    "attn_kv_a_mqa.weight": (
        "indexer.k_norm.weight",
        "indexer.k_norm.bias",
        "indexer.proj.weight",
        "indexer.attn_k.weight",
        "indexer.attn_q_b.weight",
    ),
}
"""Tensors that loaders do not insist on and graphs do, by one that the same block has."""

_ROUTER = "ffn_gate_inp.weight"
"""Nemotron's loader reads the number of experts off it before it says which shape it wants."""

_HYBRIDS = ("qwen3next", "qwen35", "qwen35moe", "qwen4exp")
_INTERVAL = 4


@dataclass(slots=True)
class Model:
    """A model to make up: the keys of its header, and the tensors that the release wants, as far as they are known."""

    keys: Mapping[str, object]
    untied: bool = False
    tensors: dict[str, gguf.Shape] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Name what no loader asks for: an output of its own, and by what a whole model is told from its halves."""
        if self.untied:
            self.tensors["output.weight"] = _UNKNOWN
        if self.keys["arch"] == "phi3":
            self.tensors["blk.0.attn_qkv.weight"] = _UNKNOWN
        if self.keys.get("nextn_predict_layers"):
            self.tensors["blk.0.attn_norm.weight"] = _UNKNOWN
            self.tensors[f"blk.{self._blocks - 1}.nextn.eh_proj.weight"] = _UNKNOWN

    @property
    def _blocks(self) -> int:
        blocks = self.keys["block_count"]
        assert isinstance(blocks, int)
        return blocks

    @property
    def _interval(self) -> int:
        """Every how many blocks one has attention; 1 where blocks do not alternate."""
        if self.keys["arch"] not in _HYBRIDS:
            return 1
        interval = self.keys.get("full_attention_interval", _INTERVAL)
        assert isinstance(interval, int)
        return interval

    def metadata(self) -> dict[str, object]:
        """The header with the architecture's prefix; there is no vocabulary but for its size."""
        arch = str(self.keys["arch"])
        plain = {name: value for name, value in self.keys.items() if name not in ("arch", "vocab")}
        return {
            "general.architecture": arch,
            "tokenizer.ggml.model": "no_vocab",
            f"{arch}.vocab_size": self.keys["vocab"],
            **{f"{arch}.{name}": value for name, value in plain.items()},
        }

    def learn(self, load: Load) -> bool:
        """Take up what a load said of the file's tensors; returns whether anything changed."""
        if load.wrong is not None:
            name, shape = load.wrong
            self._set(name, without_ones(shape))
            return True
        if load.missing:
            self._set(load.missing, self._like(load.missing))
            return True
        if load.miscounted:
            kept = {name: shape for name, shape in self.tensors.items() if name in load.asked}
            changed = len(kept) < len(self.tensors)
            self.tensors = kept
            return changed
        return False

    def _set(self, name: str, shape: gguf.Shape) -> None:
        """Add a tensor, and its like in all later blocks of its kind: what is not asked for is dropped at the end."""
        self.tensors[name] = shape
        found = _BLOCK.fullmatch(name)
        if found is None or shape == _UNKNOWN:
            return
        first, tensor = int(found[1]), found[2]
        same = [block for block in range(first, self._blocks) if self._attends(block) == self._attends(first)]
        for block in same:
            self.tensors[f"blk.{block}.{tensor}"] = shape
        for other in _UNASKED.get(tensor, ()):
            self.tensors.setdefault(f"blk.{first}.{other}", _UNKNOWN)

    def _attends(self, block: int) -> bool:
        return (block + 1) % self._interval == 0

    def _like(self, name: str) -> gguf.Shape:
        """The shape of a tensor of the same name in the block before it, or that of the router."""
        found = _BLOCK.fullmatch(name)
        if found is None:
            return _UNKNOWN
        experts, width = self.keys.get("expert_count"), self.keys["embedding_length"]
        if found[2] == _ROUTER and isinstance(experts, int) and isinstance(width, int):
            return width, experts
        for block in range(int(found[1]) - 1, -1, -1):
            shape = self.tensors.get(f"blk.{block}.{found[2]}")
            if shape is not None:
                return shape
        return _UNKNOWN


def without_ones(shape: Sequence[int]) -> gguf.Shape:
    """A shape without the ones at its end."""
    kept = list(shape)
    while len(kept) > 1 and kept[-1] == 1:
        kept.pop()
    return tuple(kept)


def run(server: Server, arguments: str, file: str) -> tuple[Load, int | None]:
    """Start the server on a file and read until its plan is known; returns that and the exit code, if it ended.

    The server plans before it allocates (`--fit on`), and is stopped there: a load takes neither memory nor time. A
    small file is loaded up to the point where the model's buffers are printed, which a plan gives in whole MiB.
    """
    words = [word.replace("/models/", f"{server.seen}/") for word in shlex.split(arguments)]
    own = ["-m", f"{server.seen}/{file}", "--port", "0", "--no-warmup", "-v"]
    small = (server.folder / file).stat().st_size < _EXACT_BELOW
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LLAMA_")}
    load = Load()
    with subprocess.Popen(
        [*server.command, *own, *without_fit(words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environ,
        text=True,
        errors="replace",
    ) as process:
        alarm = threading.Timer(SECONDS, process.kill)
        alarm.start()
        assert process.stderr is not None
        ended = True
        for line in process.stderr:
            load.take(line)
            if load.missing or load.wrong or load.weighed or (load.allocating and not small):
                ended = False
                break
        if ended:
            process.wait()
        alarm.cancel()
        process.kill()
    return load, process.returncode if ended else None


def without_fit(words: Sequence[str]) -> list[str]:
    """The arguments without `--fit off`."""
    kept = list(words)
    for name in ("--fit", "-fit"):
        if name in kept:
            place = kept.index(name)
            del kept[place : place + 2]
    return kept


def judge(server: Server, model: Model, row: Mapping[str, Any]) -> dict[str, Any]:
    """What a release allocates for one row, in the words of the files of rows."""
    inputs = row["inputs"]
    kind, arguments = str(inputs["weight_quant"]), str(inputs.get("args", ""))
    file = f"{row['model']}.{kind.upper()}.gguf"
    load, code = _complete(server, model, kind, file, arguments)
    found = observed(load, code, "-md" in shlex.split(arguments))
    if load.cut is not None:
        again, code = _complete(server, model, kind, file, f"{arguments} -c {load.cut}")
        found = {**observed(again, code), "fit": load.fit}
    return found


def _complete(server: Server, model: Model, kind: str, file: str, arguments: str) -> tuple[Load, int | None]:
    """Load a file again and again until the server misses no tensor in it."""
    for _ in range(MOST_TRIES):
        gguf.write(server.folder / file, model.metadata(), model.tensors, kind)
        load, code = run(server, arguments, file)
        if not model.learn(load):
            return load, code
    raise JudgeError(f"{file}: no end of missing tensors")


def observed(load: Load, code: int | None, own_drafter: bool = False) -> dict[str, Any]:
    """The figures of a load, or why there are none; with `own_drafter` the plan's second model is a file of its own."""
    if not load.contexts or not load.planned:
        return {"outcome": "refused", "exit_code": code, "error": [line.strip() for line in load.errors[:1]]}
    found = {"outcome": "loaded", **load.contexts[0].observed()}
    if len(load.contexts) == 1:
        found["model_mib"] = dict(load.buffers) or {"Host": load.planned_buffers[0]}
    else:
        files = load.planned_buffers if own_drafter else load.planned_buffers[:1]
        found["model_mib_all_models"] = {"Host": sum(files)}
        found["draft"] = load.contexts[-1].observed()
    return found
