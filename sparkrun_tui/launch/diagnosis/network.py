"""Why ranks do not find each other: NCCL, RDMA devices, and the sockets of torch."""

from __future__ import annotations

from sparkrun_tui.base.patterns import GAP, SHORT_GAP
from sparkrun_tui.engines.logs.causes import Cause, Weight, by_hand, cause

NETWORK_CAUSES: tuple[Cause, ...] = (
    cause(
        r"ibv_modify_qp failed with(?:.{1,200}?local GID index (\d+))?",
        "The RDMA address index does not fit the device",
        lambda match, _: (
            f"The network card has no usable address at index {match[1]}."
            if match[1]
            else "The network card refuses the address index."
        ),
        by_hand("remove NCCL_IB_GID_INDEX from env", "NCCL 2.21 and later finds the index of each device"),
        by_hand(
            "name only devices in NCCL_IB_HCA that have an address", "`ibdev2netdev` and `ip -br addr` on each host"
        ),
        even_as_note=True,
    ),
    cause(
        r"Failed to initialize any NET plugin",
        "NCCL finds no network device",
        "NCCL_NET or NCCL_IB_HCA names a network that this container does not have: /dev/infiniband is missing in it, "
        "or the device has another name on this host.",
        by_hand("check NCCL_NET and NCCL_IB_HCA in env against `ibdev2netdev` on each host"),
        by_hand("give the container /dev/infiniband", "a cluster with `privileged` has it"),
        even_as_note=True,
    ),
    cause(
        r"Got completion from peer (\S{1,100}) with (?:status=\w+\(\d+\) |error )",
        "The link to another host broke",
        "The network card got no answer from {0}: the rank there has died, or the link drops packets.",
        by_hand("read the other host's log", "a rank that died there is the cause"),
        by_hand("compare the MTU of both ends: ip -br link", "and the cable"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
    cause(
        r"NCCL error(?:: | in: .{0,200}, )([a-z ]+)|^nccl(\w{1,40}Error): |"
        r"NCCL (communicator was aborted)",
        "NCCL failed",
        lambda match, _: (
            f"The ranks could not set up or keep their connection: {(match[1] or match[2] or match[3]).strip()}."
        ),
        by_hand("NCCL_DEBUG: INFO in env, and launch again", "its lines then name the interface or device that failed"),
        by_hand("read the logs of all hosts", "a rank that died on another host looks like this, too"),
        weight=Weight.HINT,
    ),
    cause(
        r"Call to ibv_reg_mr\w* failed with error Cannot allocate memory",
        "RDMA memory cannot be registered",
        "The kernel gives the network card no memory, because of a memlock limit or memory that it reserves for KHO.",
        by_hand("set kho=off on the kernel command line, or use an older kernel"),
        by_hand("check that the container has memlock unlimited"),
        even_as_note=True,
    ),
    cause(
        r"Socket operation on non-socket",
        "NCCL has the wrong interface",
        "The interface that NCCL is configured to use does not connect the hosts.",
        by_hand("compare NCCL_SOCKET_IFNAME with `ibdev2netdev` on each host"),
    ),
    cause(
        rf"NCCL WARN {GAP}(?:operation=Connect|Connect to {SHORT_GAP} failed|Call to connect)",
        "NCCL cannot connect",
        "The ranks cannot reach each other through the chosen network device.",
        by_hand("check NCCL_IB_HCA, NCCL_IB_GID_INDEX and NCCL_SOCKET_IFNAME on each host"),
        by_hand("use the same port of the network card on both hosts"),
        even_as_note=True,
    ),
    cause(
        r"Watchdog caught collective operation timeout",
        "Ranks lost each other",
        "A collective operation did not finish in time: a host or the link has stalled.",
        by_hand("check the hosts' memory and the link, then start all ranks together"),
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"DistStoreError: Timed out after (\d+) seconds waiting for clients\. (\d+)/(\d+) clients joined",
        "Not all ranks connected",
        "The head waited {0} seconds; {1} of {2} ranks joined.",
        by_hand("read the other host's log", "a rank that failed there cannot join"),
        by_hand("check that nothing between the hosts blocks ports"),
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        rf"(?:client socket has timed out|DistNetworkError){GAP}?(?<!\d)(\d{{1,12}})ms "
        r"while trying to connect to \(([^,]{1,200}), (\d{1,6})\)",
        "The head did not answer",
        "Nothing answered this rank at {1} port {2}.",
        by_hand("read the head's log"),
        by_hand("check that nothing between the hosts blocks ports"),
        weight=Weight.CONSEQUENCE,
    ),
)
