"""vLLM's cache specification of one layer: its page in a block, and how many blocks a request takes."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from sparkrun_tui.base.records import dataclass


class SpecKind(StrEnum):
    """The kinds of specification that vLLM groups by (vllm/v1/kv_cache_interface.py)."""

    FULL = "full"
    MLA = "mla"
    WINDOW = "window"
    WINDOW_MLA = "window mla"
    CHUNKED = "chunked"
    STATE = "state"
    TAIL = "tail"


_FULL_LIKE = frozenset({SpecKind.FULL, SpecKind.MLA})


@dataclass(frozen=True, slots=True)
class Spec:
    """One layer's cache on one rank: `block` in tokens, `page` in bytes of one block of it.

    `identity` holds heads, widths and format: layers whose specs are equal are of one kind. `window`
    is the window or chunk in tokens; `states` the blocks of a recurrent state; `extra` tokens that a
    window keeps longer for drafters. `whole` says that context parallelism does not share out its tokens.
    """

    kind: SpecKind
    block: int
    page: int
    identity: tuple[object, ...] = ()
    window: int = 0
    states: int = 0
    extra: int = 0
    whole: bool = False

    def blocks(self, length: int, in_flight: int) -> int:
        """The blocks that one request of `length` tokens takes, with `in_flight` tokens scheduled.

        Source: vllm/v1/kv_cache_interface.py (max_admission_blocks_per_request, max_memory_usage_bytes).
        """
        if self.kind in _FULL_LIKE:
            return -(-length // self.block)
        if self.kind is SpecKind.STATE:
            return self.states
        if self.kind is SpecKind.TAIL:
            return 1
        if self.kind is SpecKind.CHUNKED:
            return -(-min(self.window + in_flight, length) // self.block)
        held = min(self.window - 1 + self.extra + in_flight, length)
        return -(-held // self.block) + 1

    def with_block(self, block: int) -> Spec:
        """This spec with a block of another length, its page scaled with it."""
        return replace(self, block=block, page=self.page * block // self.block)

    def same_type(self, other: Spec) -> bool:
        """Whether both always need the same number of slots (UniformTypeKVCacheSpecs.is_uniform_type)."""
        if self.block != other.block or self.whole is not other.whole:
            return False
        if self.kind in _FULL_LIKE:
            return other.kind in _FULL_LIKE
        if self.kind is not other.kind:
            return False
        if self.kind is SpecKind.STATE:
            return self.states == other.states and self.page == other.page
        return self.window == other.window
