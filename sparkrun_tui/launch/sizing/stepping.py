"""The values that a field steps through: numbers in its limits, known words, sizes that divide the model."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.engines.fields.filled import field_of
from sparkrun_tui.engines.fields.types import Field, FieldType
from sparkrun_tui.engines.registry import family_of
from sparkrun_tui.launch.sizing.sizing import FactsStore, attention_heads
from sparkrun_tui.recipe.values.rendered import Rendered


def stepped(rendered: Rendered, key: str, text: str, steps: int, store: FactsStore | None = None) -> str:
    """The value of a key that is `steps` away from `text`; `store` None means the facts of this machine.

    Tensor-parallel sizes step through those that divide the model's attention heads, as far as these are known.
    """
    field = field_of(rendered.original, key)
    values: Sequence[str] = field.values
    if field.type is FieldType.TEXT and values:
        index = values.index(text) + steps if text in values else (0 if steps > 0 else -1)
        return values[index % len(values)]
    family = family_of(rendered.recipe.runtime)
    row = family.flags.by_key.get(key) if family is not None else None
    if row is not None and row.sets == "tensor_parallel":
        heads = attention_heads(rendered, store)
        if heads:
            return _divisor(field, text, steps, heads)
    return field.stepped(text, steps)


def _divisor(field: Field, text: str, steps: int, heads: int) -> str:
    """The next number within the field's limits that divides `heads`; the text itself where there is none."""
    present = whole(text)
    if present is None:
        return text
    most = heads if field.maximum is None else field.maximum
    sizes = [size for size in range(1, heads + 1) if heads % size == 0 and size <= most]
    further = [size for size in sizes if (size > present if steps > 0 else size < present)]
    if not further:
        return text
    return str(further[0] if steps > 0 else further[-1])
