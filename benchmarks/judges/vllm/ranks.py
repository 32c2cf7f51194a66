"""Groups of ranks without any process beside this one."""

from __future__ import annotations

from importlib import import_module
from typing import Any

GROUPS = ("_TP", "_ETP", "_DCP", "_PCP", "_PP", "_DP", "_EP", "_EPLB", "_WORLD", "_INNER_DP_WORLD")
"""Variables of `vllm.distributed.parallel_state`; which of them exist depends on the release."""


class _Processes:
    """As much of a process group as layers ask while they are built."""

    def __init__(self, size: int, rank: int) -> None:
        self._size, self._rank = size, rank

    def size(self) -> int:
        """How many ranks."""
        return self._size

    def rank(self) -> int:
        """Which of them this is."""
        return self._rank


class Group:
    """One group as the rank `rank` of `size` sees it. What it would exchange with others stays as it is."""

    device_communicator = None
    mq_broadcaster = None
    use_custom_op_call = False
    use_device_communicator = False
    pynccl_comm = None

    def __init__(self, size: int, rank: int, first: int = 0) -> None:
        self.world_size = size
        self.rank_in_group = rank
        self.cpu_group = self.device_group = _Processes(size, rank)
        self.rank = first + rank
        self.local_rank = rank
        self.ranks = list(range(first, first + size))
        self.unique_name = f"group:{size}:{rank}"
        self.first_rank = first
        self.last_rank = first + size - 1
        self.next_rank = first + (rank + 1) % size
        self.prev_rank = first + (rank - 1) % size
        self.is_first_rank = rank == 0
        self.is_last_rank = rank == size - 1
        self.device = import_module("torch").device("meta")

    def all_reduce(self, tensor: Any, *_: Any, **__: Any) -> Any:
        """The tensor itself: only its shape matters."""
        return tensor

    def barrier(self) -> None:
        """Nobody to wait for."""


def place(parallel: Any, stage: int) -> None:
    """Make this process the first rank of pipeline stage ``stage``, for a vLLM ``ParallelConfig``."""
    state: Any = import_module("vllm.distributed.parallel_state")
    tensor = parallel.tensor_parallel_size
    stages = parallel.pipeline_parallel_size
    data = parallel.data_parallel_size
    context = getattr(parallel, "decode_context_parallel_size", 1)
    experts = tensor * data
    sizes = {
        "_TP": (tensor, 0),
        "_ETP": (tensor, 0),
        "_DCP": (context, 0),
        "_PCP": (1, 0),
        "_PP": (stages, stage),
        "_DP": (data, 0),
        "_EP": (experts, 0),
        "_EPLB": (experts, 0),
        "_WORLD": (tensor * stages, tensor * stage),
        "_INNER_DP_WORLD": (tensor * stages, tensor * stage),
    }
    for name in GROUPS:
        if hasattr(state, name):
            setattr(state, name, Group(*sizes[name]))
