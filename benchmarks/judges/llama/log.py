"""Reads what one load of llama-server says: the sizes that it allocates, and what it misses in the file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_SIZE = r"= +([\d.]+) MiB"
_MODEL = re.compile(rf"load_tensors: +(\S+) model buffer size {_SIZE}")
_CONTEXT = re.compile(r"llama_context: (n_seq_max|n_ctx|n_rs_seq) += (\d+)")
_OUTPUT = re.compile(rf"llama_context: +\S+ +output buffer size {_SIZE}")
_COMPUTE = re.compile(rf"(?:sched_reserve|llama_context|graph_reserve): +(\S+) compute buffer size {_SIZE}")
_CREATING = re.compile(r"creating +(.*?)KV cache, size")
_CACHE = re.compile(rf"llama_kv_cache\w*: size {_SIZE} \( *(\d+) cells, +(\d+) layers, +\d+/(\d+) seqs\)")
_STATE = re.compile(rf"llama_memory_recurrent: size {_SIZE} \( *(\d+) cells")
_COMPRESSOR = re.compile(rf"llama_dsv4_comp_state: .* streams = (\d+), .* size {_SIZE}")
_HOST = re.compile(r"\| +- .*= *(\d+) \+ +\d+ \+ +\d+ ")
_FIT = re.compile(r"common_\w*fit\w*: (?:- )?(.*(?:vs\. \d+ MiB of|context size reduced|no change|failed to fit).*)")
_CUT = re.compile(r"context size reduced from \d+ to (\d+)")
_MISSING = re.compile(r"tensor '([^']+)' not found")
_WRONG = re.compile(r"tensor '([^']+)' has wrong shape; expected ([\d, ]+), got")
_ASKED = re.compile(r"loading tensor (\S+)")
_ERROR = re.compile(r"^\S+ E (.*)$|^(?:.*\berror\b.*)$", re.IGNORECASE)


@dataclass(slots=True)
class Context:
    """One context as the log describes it; sizes are MiB."""

    sizes: dict[str, int] = field(default_factory=dict)
    caches: dict[str, dict[str, float]] = field(default_factory=dict)
    state: tuple[float, int] | None = None
    compute: dict[str, float] = field(default_factory=dict)
    output: float = 0.0

    def observed(self) -> dict[str, Any]:
        """The context in the words of the files of rows."""
        found: dict[str, Any] = {"n_ctx": self.sizes.get("n_ctx"), "n_slots": self.sizes.get("n_seq_max")}
        full, window = self.caches.get("full"), self.caches.get("window")
        if full is not None:
            found |= {"cells": int(full["cells"]), "streams": int(full["streams"]), "kv_layers": int(full["layers"])}
            found["kv_mib"] = full["mib"]
        if window is not None:
            found |= {"cells_swa": int(window["cells"]), "swa_layers": int(window["layers"])}
            found["kv_swa_mib"] = window["mib"]
        if "indexer" in self.caches:
            found["kv_indexer_mib"] = self.caches["indexer"]["mib"]
        if self.state is not None:
            found |= {"rs_mib": self.state[0], "rs_cells": self.state[1], "rs_seq": self.sizes.get("n_rs_seq", 0)}
        found |= {"compute_mib": round(sum(self.compute.values()), 2), "output_mib": self.output}
        return found


@dataclass(slots=True)
class Load:
    """What the lines so far say of one load.

    With `--fit` the server first plans without allocating, then allocates. `contexts` are those of the plan with the
    settings that were asked for (the server may plan again with a shorter context): the model's and a drafter's.
    `buffers` are those of the models in MiB: of the plan in whole ones, of the allocation exact and by name.
    """

    contexts: list[Context] = field(default_factory=list)
    planned_buffers: list[int] = field(default_factory=list)
    buffers: dict[str, float] = field(default_factory=dict)
    fit: list[str] = field(default_factory=list)
    cut: int | None = None
    errors: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    missing: str = ""
    wrong: tuple[str, tuple[int, ...]] | None = None
    miscounted: bool = False
    planned: bool = False
    allocating: bool = False
    weighed: bool = False
    _label: str = "full"

    def take(self, line: str) -> None:
        """Read one line of the log."""
        if "no_alloc " in line:
            self.allocating = line.rstrip().endswith("= 0")
        elif found := _ASKED.search(line):
            self.asked.add(found[1])
        elif self.allocating:
            self._allocate(line)
        elif not self.planned:
            self._plan(line)
        if found := _FIT.search(line):
            self.planned = True
            self.fit.append(found[1])
            if found := _CUT.search(line):
                self.cut = int(found[1])
        self._complain(line)

    def _allocate(self, line: str) -> None:
        """Read a line of the load proper, of which only the models' buffers are wanted."""
        if found := _MODEL.search(line):
            self.buffers[found[1]] = round(self.buffers.get(found[1], 0.0) + float(found[2]), 2)
        elif "constructing llama_context" in line:
            self.weighed = True

    def _plan(self, line: str) -> None:
        """Read a line of the plan."""
        if "constructing llama_context" in line:
            self._label = "full"
            self.contexts.append(Context())
        elif found := _HOST.search(line):
            self.planned_buffers.append(int(found[1]))
        elif self.contexts:
            self._add(self.contexts[-1], line)

    def _complain(self, line: str) -> None:
        """What the server misses or refuses."""
        if found := _MISSING.search(line):
            self.missing = found[1]
        if found := _WRONG.search(line):
            self.wrong = found[1], tuple(int(part) for part in found[2].split(","))
        if "wrong number of tensors" in line:
            self.miscounted = True
        if found := _ERROR.search(line):
            self.errors.append(found[1] or found[0])

    def _add(self, context: Context, line: str) -> None:
        """Read a line about the newest context."""
        if found := _CONTEXT.search(line):
            context.sizes[found[1]] = int(found[2])
        elif found := _CREATING.search(line):
            self._label = cache_kind(found[1])
        elif found := _CACHE.search(line):
            _sum_up(context.caches.setdefault(self._label, {}), found)
        elif found := _STATE.search(line):
            context.state = float(found[1]), int(found[2])
        elif found := _COMPRESSOR.search(line):
            before = context.state[0] if context.state is not None else 0.0
            context.state = round(before + float(found[2]), 2), int(found[1])
        elif found := _COMPUTE.search(line):
            context.compute[found[1]] = float(found[2])
        elif found := _OUTPUT.search(line):
            context.output = float(found[1])


def cache_kind(title: str) -> str:
    """Which of our figures a cache belongs to, by how the server calls it: `non-SWA`, `SWA`, `indexer`, `main`."""
    words = title.lower().split()
    if "swa" in words:
        return "window"
    if any("indexer" in word for word in words):
        return "indexer"
    return "full"


def _sum_up(cache: dict[str, float], found: re.Match[str]) -> None:
    """Add one cache to those of its kind; the cells are those of the first, others may hold compressed rows."""
    cache.setdefault("cells", int(found[2]))
    cache.setdefault("streams", int(found[4]))
    for name, value in (("mib", found[1]), ("layers", found[3])):
        cache[name] = round(cache.get(name, 0.0) + float(value), 2)
