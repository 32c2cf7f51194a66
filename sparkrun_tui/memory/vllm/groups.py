"""vLLM's grouping of layers: which layers share a block table, and what one block then weighs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, gcd

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.memory.vllm.spec import Spec, SpecKind


@dataclass(frozen=True, slots=True)
class Placed:
    """One layer's spec and the pipeline stage it lives on."""

    spec: Spec
    stage: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Layers that share a block table, and the spec that counts its blocks."""

    layers: tuple[Placed, ...]
    spec: Spec

    def bytes_on(self, stage: int) -> int:
        """The bytes of one block of this group's layers on one pipeline stage."""
        return sum(placed.spec.page for placed in self.layers if placed.stage == stage)


@dataclass(frozen=True, slots=True)
class Grouping:
    """The groups of a model, and a byte alignment that some packed layouts force on a block."""

    groups: tuple[Group, ...]
    alignment: int = 1
    pattern: int = 0

    def bytes_per_block(self, stage: int = 0) -> int:
        """The bytes of one block of the shared pool on one stage: the widest group's pages.

        Source: vllm/v1/core/kv_cache_planning.py (_get_kv_cache_bytes_per_block).
        """
        widest = max((group.bytes_on(stage) for group in self.groups), default=0)
        widest = max(widest, self.pattern)
        return -(-widest // self.alignment) * self.alignment


class CannotGroup(Exception):
    """The engine refuses this mix of layers: page sizes that cannot be made equal."""


def group_layers(
    layers: Sequence[Placed],
    *,
    hybrid: bool = True,
    packed: bool = False,
    padded_pattern: bool = False,
    alignment: int = 1,
) -> Grouping:
    """Group layers as vLLM does: one spec, one type, packed for block-outermost layouts, or equal pages.

    `hybrid` False is `--disable-hybrid-kv-cache-manager`; `packed` a block-outermost layout. Raises
    CannotGroup. Source: vllm/v1/core/kv_cache_planning.py (get_kv_cache_groups).
    """
    if not hybrid:
        layers = _all_full(layers)
    if not layers:
        return Grouping(())
    first = layers[0].spec
    if all(first.same_type(placed.spec) for placed in layers):
        return Grouping((Group(tuple(layers), first),))
    if packed and len({placed.spec.page for placed in layers}) > 1:
        return _packed(layers, padded_pattern, alignment)
    try:
        return Grouping(_equal_pages(_unify(layers)))
    except CannotGroup:
        kinds = {placed.spec.kind for placed in layers}
        if kinds <= {SpecKind.MLA, SpecKind.FULL, SpecKind.WINDOW} and SpecKind.MLA in kinds:
            promoted = tuple(_all_full(layers))
            return Grouping((Group(promoted, promoted[0].spec),))
        raise


def _all_full(layers: Sequence[Placed]) -> list[Placed]:
    """Turn window and chunk layers into full ones (unify_hybrid_kv_cache_specs), when there are full ones too."""
    full = [p.spec for p in layers if p.spec.kind in (SpecKind.FULL, SpecKind.MLA)]
    local = {SpecKind.WINDOW: SpecKind.FULL, SpecKind.CHUNKED: SpecKind.FULL, SpecKind.WINDOW_MLA: SpecKind.MLA}
    if not full:
        return list(layers)
    block = full[0].block
    return [
        replace(p, spec=replace(p.spec.with_block(block), kind=local[p.spec.kind], window=0))
        if p.spec.kind in local
        else p
        for p in layers
    ]


def _unify(layers: Sequence[Placed]) -> list[Placed]:
    """Make all pages equal: longer blocks where sizes divide, padding where they do not (not for MLA)."""
    largest = max(placed.spec.page for placed in layers)
    unified = []
    for placed in layers:
        spec = placed.spec
        if spec.page != largest:
            if spec.kind is not SpecKind.STATE and largest % spec.page == 0:
                spec = spec.with_block(spec.block * (largest // spec.page))
            elif spec.kind in (SpecKind.MLA, SpecKind.WINDOW_MLA):
                raise CannotGroup("latent pages do not divide the largest page of the model")
            else:
                spec = replace(spec, page=largest)
        unified.append(replace(placed, spec=spec))
    return unified


def _equal_pages(layers: Sequence[Placed]) -> tuple[Group, ...]:
    """Split each kind into groups of one size: the fewest layers of a kind, or the most when close to it.

    Source: vllm/v1/core/kv_cache_planning.py (_get_kv_cache_groups_uniform_page_size).
    """
    kinds: dict[Spec, list[Placed]] = {}
    for placed in layers:
        kinds.setdefault(placed.spec, []).append(placed)
    fewest = min(len(members) for members in kinds.values())
    most = max(len(members) for members in kinds.values())
    size = most if most < fewest * 1.5 else fewest
    groups: list[Group] = []
    for spec, members in kinds.items():
        count = ceil(len(members) / size)
        groups.extend(Group(tuple(members[i::count]), spec) for i in range(count))
    return tuple(groups)


def _packed(layers: Sequence[Placed], padded_pattern: bool, alignment: int) -> Grouping:
    """Group layers of different page sizes side by side in one block (_get_packed_kv_cache_groups).

    States go into as many groups as keep the block as it is, since 0.30 also rings, and windows where no pattern
    repeats.
    """
    buckets: list[list[Placed]] = []
    for placed in layers:
        for bucket in buckets:
            if bucket[0].spec.same_type(placed.spec):
                bucket.append(placed)
                break
        else:
            buckets.append([placed])
    repeats = _repeats(buckets)
    counts = [_group_count(bucket, repeats) for bucket in buckets]
    loose = {SpecKind.STATE}
    if not padded_pattern:
        loose.add(SpecKind.TAIL)
        if repeats is None:
            loose.add(SpecKind.WINDOW)
    anchor = max(
        _widest(bucket, len(bucket) if bucket[0].spec.kind in loose else count)
        for bucket, count in zip(buckets, counts, strict=True)
    )
    groups: list[Group] = []
    for bucket, count in zip(buckets, counts, strict=True):
        spec = bucket[0].spec
        if spec.kind in loose:
            count = max(count, ceil(len(bucket) / max(anchor // spec.page, 1)))
        groups.extend(Group(part, spec) for part in _split(bucket, count))
    pattern = _pattern_bytes(buckets, repeats) if padded_pattern else 0
    return Grouping(tuple(groups), alignment, pattern)


def _by_page(bucket: Sequence[Placed]) -> dict[int, list[Placed]]:
    """Sort a bucket's layers by page size, in order of appearance."""
    pages: dict[int, list[Placed]] = {}
    for placed in bucket:
        pages.setdefault(placed.spec.page, []).append(placed)
    return pages


def _balanced(bucket: Sequence[Placed]) -> bool:
    """Whether every page size of a bucket occurs equally often (a repeating pattern)."""
    return len({len(members) for members in _by_page(bucket).values()}) == 1


def _most_per_page(bucket: Sequence[Placed]) -> int:
    """How many layers share the most common page size of a bucket."""
    return max(len(members) for members in _by_page(bucket).values())


def _repeats(buckets: Sequence[Sequence[Placed]]) -> int | None:
    """How often the layer pattern repeats in one group, None when nothing needs packing.

    The number with the least padding over all balanced buckets, ties to the larger (_approximate_gcd).
    """
    balanced = [bucket for bucket in buckets if _balanced(bucket)]
    mixed = [_most_per_page(bucket) for bucket in balanced if len(_by_page(bucket)) > 1]
    if not mixed:
        return None
    sizes = [_most_per_page(bucket) for bucket in balanced]
    lowest = max(mixed)
    candidates = range(lowest, max(max(sizes), lowest) + 1)
    return min(candidates, key=lambda d: (sum(-size % d for size in sizes), -d))


def _group_count(bucket: Sequence[Placed], repeats: int | None) -> int:
    """How many groups a bucket splits into before states are fitted."""
    if repeats is None or not _balanced(bucket):
        return 1
    return ceil(_most_per_page(bucket) / repeats)


def _widest(bucket: Sequence[Placed], count: int) -> int:
    """The page bytes of the largest of `count` groups of a bucket."""
    return sum(ceil(len(members) / count) * page for page, members in _by_page(bucket).items())


def _split(bucket: Sequence[Placed], count: int) -> list[tuple[Placed, ...]]:
    """Deal a bucket's pattern repeats round over `count` groups."""
    if count == 1:
        return [tuple(bucket)]
    rows = list(zip(*_by_page(bucket).values(), strict=True))
    return [tuple(placed for row in rows[i::count] for placed in row) for i in range(count)]


def _pattern_bytes(buckets: Sequence[Sequence[Placed]], repeats: int | None) -> int:
    """A block in which every page size of the widest bucket occurs `repeats` times (before 0.30)."""
    if repeats is None:
        return 0
    return max(repeats * sum(_by_page(bucket)) for bucket in buckets)


def common_multiple(*numbers: int) -> int:
    """The least common multiple of positive numbers."""
    result = 1
    for number in numbers:
        result = result * number // gcd(result, number)
    return result
