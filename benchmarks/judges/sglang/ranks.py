"""One rank of several, without any process beside this one.

The release builds its groups itself. PyTorch's fake backend answers for the processes that are not there: what is
exchanged with them stays as it is, so every rank has the same memory. The minimum over pipeline stages, whose layers
differ, is asked for in two passes: the first notes what a stage would give, the second answers with the smallest.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

GIVEN: list[float] = []
"""What this rank gave to reductions, in their order."""


class Group:
    """A group of ranks as one of them sees it; it stands for SGLang's `GroupCoordinator`."""

    def __init__(self, group_ranks: Sequence[Sequence[int]], local_rank: int, *_: Any, **named: Any) -> None:
        distributed: Any = import_module("torch.distributed")
        self.rank = distributed.get_rank()
        self.local_rank = local_rank
        self.ranks = next(list(ranks) for ranks in group_ranks if self.rank in ranks)
        self.world_size = len(self.ranks)
        self.rank_in_group = self.ranks.index(self.rank)
        self.cpu_group = self.device_group = distributed.group.WORLD
        self.unique_name = str(named.get("group_name"))
        self.first_rank, self.last_rank = self.ranks[0], self.ranks[-1]
        self.is_first_rank = self.rank == self.first_rank
        self.is_last_rank = self.rank == self.last_rank
        self.next_rank = self.ranks[(self.rank_in_group + 1) % self.world_size]
        self.prev_rank = self.ranks[(self.rank_in_group - 1) % self.world_size]

    def __getattr__(self, name: str) -> Any:
        """Communicators are not there."""
        if name.startswith("__"):
            raise AttributeError(name)
        return None

    def all_reduce(self, tensor: Any, *_: Any, **__: Any) -> Any:
        """The tensor itself."""
        return tensor

    def barrier(self) -> None:
        """Nobody to wait for."""


def install(smallest: Sequence[float]) -> None:
    """Let SGLang build its groups of `Group`; reductions are answered with ``smallest`` while it lasts."""
    distributed: Any = import_module("torch.distributed")
    fake: Any = import_module("torch.testing._internal.distributed.fake_pg")
    state: Any = import_module("sglang.srt.distributed.parallel_state")
    start = distributed.init_process_group

    def init_process_group(*_: Any, world_size: int, rank: int, **__: Any) -> None:
        start("fake", store=fake.FakeStore(), world_size=world_size, rank=rank)

    def all_reduce(tensor: Any, *_: Any, **__: Any) -> None:
        if tensor.is_meta:
            return
        if len(GIVEN) < len(smallest):
            tensor.fill_(smallest[len(GIVEN)])
        GIVEN.append(tensor.item())

    distributed.init_process_group = init_process_group
    distributed.new_group = lambda *_, **__: distributed.group.WORLD
    distributed.all_reduce = all_reduce
    distributed.barrier = lambda *_, **__: None
    distributed.broadcast = lambda *_, **__: None
    state.GroupCoordinator = Group
