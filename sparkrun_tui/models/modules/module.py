"""One module of a model that holds weights, and the whole list of them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sparkrun_tui.base.records import dataclass


class Kind(StrEnum):
    """The classes of modules, for sums and for formats that treat them differently."""

    EMBEDDING = "embedding"
    HEAD = "head"
    ATTENTION = "attention"
    RECURRENCE = "recurrence"
    DENSE = "dense"
    SHARED = "shared expert"
    EXPERTS = "experts"
    ROUTER = "router"
    VISION = "vision"
    SMALL = "small"


class Split(StrEnum):
    """How tensor-parallel ranks share a module.

    `ROWS` divides the outputs (vLLM: ColumnParallelLinear), `COLUMNS` the inputs (RowParallelLinear), `WHOLE` is kept
    by each rank.
    """

    ROWS = "rows"
    COLUMNS = "columns"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Module:
    """`copies` equal matrices of `rows` outputs and `columns` inputs, in elements before any tensor parallelism.

    `name` is the checkpoint's name without what stands before `layers`. `heads` is set where the rows belong to KV
    heads, of which a rank keeps at least one. `element` is the bytes of one element where the code fixes them, 0 for
    the model's own dtype. `linear` says whether a format may quantise the module at all, `made` whether it is made on
    loading, as a copy of matrices that are not quantised, and is not in the checkpoint.
    """

    name: str
    kind: Kind
    rows: int
    columns: int
    split: Split = Split.ROWS
    copies: int = 1
    heads: int = 0
    element: int = 0
    linear: bool = True
    made: bool = False

    @property
    def elements(self) -> int:
        """The number of weights."""
        return self.copies * self.rows * self.columns


def small(elements: int, split: Split = Split.WHOLE, element: int = 0, kind: Kind = Kind.SMALL) -> Module:
    """Norms, biases, convolutions and the like, which no format quantises."""
    return Module("", kind, elements, 1, split, element=element, linear=False)


def count(modules: Iterable[Module]) -> int:
    """The weights of some modules."""
    return sum(module.elements for module in modules)


@dataclass(frozen=True, slots=True)
class Modules:
    """The modules of the text model, of its vision tower, and of its own drafter (multi-token prediction).

    The drafter has no embedding of its own. `gated` says whether an expert has a gate beside its up
    projection. `vision_known` is False when the model has an encoder whose shape is not known here.
    """

    text: tuple[Module, ...]
    vision: tuple[Module, ...] = ()
    drafter: tuple[Module, ...] = ()
    gated: bool = True
    vision_known: bool = True
