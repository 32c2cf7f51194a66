"""One set of llama-server settings on one host, worked out once: plan, sizes, and what would fit."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import MIB
from sparkrun_tui.memory.bands import NOTHING, add, exact
from sparkrun_tui.memory.hosts import free_at_start, others
from sparkrun_tui.memory.llama_cpp.cache import PAD, LlamaRefusal, pad
from sparkrun_tui.memory.llama_cpp.plan import LlamaPlan, fitted_context, llama_layers, plan_llama, wanted_context
from sparkrun_tui.memory.llama_cpp.weights import model_buffers, projector
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.overheads import Band
from sparkrun_tui.memory.result import HostMemory, Level
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.facts import ModelFacts

_CONTEXT = Band(450 * MIB, 300 * MIB, 600 * MIB, "CUDA context, published logs")
_PROCESS = Band(900 * MIB, 300 * MIB, 2000 * MIB, "server process, assumed")


@dataclass(frozen=True, slots=True)
class LlamaCase:
    """Settings on a host: the plan (None: unknown or refused), the context that is allocated, weights and overhead.

    `wanted` is the context that was asked for and `context` what --fit leaves of it, in tokens; sizes
    are bytes of one host. `hosts` share weights and caches (RPC) evenly.
    """

    facts: ModelFacts
    settings: EngineSettings
    host: HostMemory
    hosts: int
    weights: Band | None
    overhead: Band
    plan: LlamaPlan | None
    wanted: int | None
    context: int | None
    refused: str = ""
    measured: Measured | None = None

    @property
    def device(self) -> bool:
        """Whether layers run on a GPU."""
        return uses_device(self.settings)

    @property
    def free(self) -> int:
        """Bytes that the server can take of the host before nothing is left."""
        return self.host.total - others(self.host).bytes

    def needed(self, plan: LlamaPlan) -> Band | None:
        """What a plan takes of one host, None when weights or compute buffers are unknown."""
        if self.weights is None or plan.compute is None:
            return None
        context = exact(ceil(plan.context / self.hosts), "context")
        return add(self.weights, self.overhead, context, plan.buffers)

    @property
    def taken(self) -> Band | None:
        """What the server takes of one host, None when a part is unknown."""
        return self.needed(self.plan) if self.plan is not None else None

    @property
    def level(self) -> Level:
        """The level of the total against the host's memory."""
        if self.refused:
            return Level.BAD
        taken = self.taken
        if taken is None:
            return Level.UNKNOWN
        if taken.likely > self.free:
            return Level.BAD
        return Level.TIGHT if taken.high > free_at_start(self.host) else Level.GOOD

    @property
    def slot_length(self) -> int | None:
        """The longest request in tokens: a slot's cells, at most what the model was trained on."""
        if self.plan is None:
            return None
        trained = self.facts.max_length
        cells = self.plan.shape.sequence
        return min(cells, trained) if trained else cells

    @property
    def at_once(self) -> float | None:
        """How many requests of that length run at once: all slots, or what a shared cache holds."""
        if self.plan is None or not self.slot_length:
            return None
        shape = self.plan.shape
        return min(float(shape.slots), shape.allocated / self.slot_length)

    @property
    def longest(self) -> int | None:
        """The largest context in tokens that the host takes, up to what is asked for or trained; 0 for none."""
        return self.longest_leaving(0)

    @property
    def left(self) -> int | None:
        """Bytes that stay for the host, None when unknown."""
        taken = self.taken
        return None if taken is None else self.free - taken.likely

    def longest_leaving(self, reserve: int) -> int | None:
        """The largest context in tokens that leaves `reserve` bytes to the host; 0 for none."""
        if self.refused or self.weights is None or self.wanted is None:
            return None
        if llama_layers(self.facts) is None:
            return None
        if self.plan is None or self.plan.compute is None:
            return None
        ceiling = max(self.facts.max_length or 0, self.wanted)
        return min(ceiling, PAD * self._largest(pad(ceiling) // PAD, self.free - reserve))

    def _largest(self, most: int, room: int) -> int:
        """The most steps of 256 tokens, up to `most`, that take at most `room` bytes.

        Sizes grow almost linearly with the context, so each guess interpolates between the bounds.
        """
        low, high = 0, most + 1
        below, above = self._size(0), self._size(most)
        if above <= room:
            return most
        while high - low > 1:
            share = (room - below) / max(1, above - below)
            guess = min(high - 1, max(low + 1, low + int((high - low) * share)))
            size = self._size(guess)
            if size > room:
                high, above = guess, size
                continue
            low, below = guess, size
            if high - low > 1 and (further := self._size(low + 1)) > room:
                high, above = low + 1, further
        return low

    def _size(self, steps: int) -> int:
        """The bytes taken with a context of `steps` times 256 tokens."""
        needed = self.needed(plan_llama(self.facts, self.settings, max(1, steps * PAD), self.device))
        return needed.likely if needed is not None else 0


def uses_device(settings: EngineSettings) -> bool:
    """Whether any layer runs on a GPU: all do unless `-ngl 0`."""
    return settings.llama.n_gpu_layers.strip() != "0"


def work_out(
    facts: ModelFacts, settings: EngineSettings, host: HostMemory, hosts: int = 1, measured: Measured | None = None
) -> LlamaCase:
    """The case of some settings on one of `hosts` that share the model: what is allocated there, or the refusal."""
    device = uses_device(settings)
    weights = model_buffers(facts, settings, device)
    if measured is not None and measured.weights is not None:
        weights = exact(measured.weights, measured.source)
    elif weights is not None and hosts > 1:
        likely, low, high = ceil(weights.likely / hosts), ceil(weights.low / hosts), ceil(weights.high / hosts)
        weights = Band(likely, low, high, weights.source)
    overhead = add(_CONTEXT if device else NOTHING, _PROCESS, projector(facts, settings))
    wanted, context, plan, refused = wanted_context(facts, settings), None, None, ""
    try:
        if wanted is not None and llama_layers(facts) is not None:
            context = wanted
            if weights is not None:
                free = free_at_start(host) if host.unified else host.total
                context = fitted_context(facts, settings, weights.likely + overhead.likely, free, device)
            plan = plan_llama(facts, settings, context or wanted, device)
    except LlamaRefusal as error:
        refused = str(error)
    return LlamaCase(facts, settings, host, hosts, weights, overhead, plan, wanted, context, refused, measured)


def with_options(case: LlamaCase, **options: object) -> LlamaCase:
    """Work the same out with other options of the server."""
    llama = replace(case.settings.llama, **options)  # type: ignore[arg-type]
    return work_out(case.facts, replace(case.settings, llama=llama), case.host, case.hosts, case.measured)
