"""How ranks on CPUs exchange tensors when they are on different hosts."""

from __future__ import annotations

from vllm.distributed.device_communicators.cpu_communicator import CpuCommunicator


class BetweenHosts(CpuCommunicator):
    """Through the network alone: hosts that share no memory may well have the same name for it."""

    def _all_group_ranks_share_shm_group_name(self) -> bool:
        return False
