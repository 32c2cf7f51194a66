"""How the weights of one module are stored: bits, groups and scales, in the layouts of the different formats."""

from __future__ import annotations

from enum import StrEnum
from math import ceil

from sparkrun_tui.base.records import dataclass


class Form(StrEnum):
    """The layouts of stored weights that engines treat differently."""

    PLAIN = "plain"
    FP8 = "fp8"
    FP8_BLOCK = "fp8 blocks"
    NVFP4 = "nvfp4"
    MXFP4 = "mxfp4"
    MXFP8 = "mxfp8"
    INTEGER = "integers"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Stored:
    """Weights of `bits` each; a scale (and a zero point) of `scale_bits` for every `group` inputs of an output.

    `row_bytes` comes once for every output. `droppable` are the bits of `scale_bits` that vLLM's Marlin kernels drop
    from dense layers, because they are the same for all groups. `block` is the side of a square that shares one fp32
    scale. `activations` says whether the kernel computes in the format too (NVFP4: four bits for both).
    """

    form: Form
    bits: float
    group: int = 0
    scale_bits: float = 0.0
    row_bytes: int = 0
    droppable: float = 0.0
    block: int = 0
    activations: bool = True

    def size(self, rows: int, columns: int) -> float:
        """The bytes of a matrix of `rows` outputs and `columns` inputs as the checkpoint stores it."""
        size = rows * columns * self.bits / 8 + rows * self.row_bytes
        if self.group:
            size += rows * columns / self.group * self.scale_bits / 8
        if self.block:
            size += 4 * ceil(rows / self.block) * ceil(columns / self.block)
        return size


NVFP4 = Stored(Form.NVFP4, 4, group=16, scale_bits=8)
NVFP4_WEIGHTS = Stored(Form.NVFP4, 4, group=16, scale_bits=8, activations=False)
MXFP4 = Stored(Form.MXFP4, 4, group=32, scale_bits=8)
MXFP8 = Stored(Form.MXFP8, 8, group=32, scale_bits=8)
FP8 = Stored(Form.FP8, 8)
FP8_ROWS = Stored(Form.FP8, 8, row_bytes=4)
FP8_BLOCKS = Stored(Form.FP8_BLOCK, 8, block=128)
INT8_ROWS = Stored(Form.INTEGER, 8, row_bytes=4)


def plain(element: int) -> Stored:
    """Weights of `element` bytes each that are not quantised."""
    return Stored(Form.PLAIN, 8 * element)


def other(bits: float) -> Stored:
    """Weights of a format whose layout is not known, with all it needs in `bits` each."""
    return Stored(Form.OTHER, bits)


def integers(bits: float, group: int | None, zeros: bool, droppable: bool = False) -> Stored:
    """Integers with one 16-bit scale for each group of inputs, and a zero point of `bits` where there are `zeros`."""
    if not group or group < 0:
        return Stored(Form.INTEGER, bits, row_bytes=2)
    scale = 16 + (bits if zeros else 0)
    return Stored(Form.INTEGER, bits, group=group, scale_bits=scale, droppable=bits if droppable else 0)
