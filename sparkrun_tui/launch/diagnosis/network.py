"""Why ranks do not find each other: NCCL, RDMA devices, and the sockets of torch."""

from __future__ import annotations

from sparkrun_tui.base.reading.patterns import GAP, SHORT_GAP
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.logs.causes import Cause, Context, Weight, by_hand, cause, first_of, set_env, set_value

NETWORK_CAUSES: tuple[Cause, ...] = (
    # Error 110. NVIDIA/nccl#2013, NVIDIA/nccl-tests#227
    cause(
        r"ibv_modify_qp failed with (?:error |\d{1,4} )?Connection timed out",
        "The other end of a link does not answer",
        "The network card asked for the hardware address of the other host's device and got no answer: the two are "
        "not on one subnet, their cable is missing, or an address stands on the wrong port.",
        by_hand(
            "ping the other host's address of that link from each host", "`ip -br addr` shows which port has which"
        ),
        by_hand("name only devices in NCCL_IB_HCA that are cabled to each other", "`ibdev2netdev` on each host"),
        set_env("NCCL_CROSS_NIC", "0", "where each port reaches only its counterpart"),
        even_as_note=True,
    ),
    # Errors 101 and 113. NVIDIA/nccl-tests#185
    cause(
        r"ibv_modify_qp failed with (?:error |\d{1,4} )?(?:Network is unreachable|No route to host)",
        "No route between the RDMA devices",
        "The host has no route from this device's address to the other host's: they are on different subnets.",
        by_hand("give the two ends of each cable addresses of one subnet", "`ip -br addr` on each host"),
        by_hand("name only devices in NCCL_IB_HCA that reach each other", "`ibdev2netdev` on each host"),
        even_as_note=True,
    ),
    # Error 19. NVIDIA/nccl#925
    cause(
        r"ibv_modify_qp failed with (?:error |\d{1,4} )?No such device",
        "The RDMA device has no network interface here",
        "The interface that belongs to this device is down, or not in this container's network.",
        by_hand("run the container in the host's network"),
        by_hand("name only devices in NCCL_IB_HCA whose interface is up", "`ibdev2netdev` on each host"),
        even_as_note=True,
    ),
    # NVIDIA/nccl: src/misc/ibvwrap.cc
    cause(
        r"Call to ibv_(?:open_device|alloc_pd|create_cq|create_qp|query_device)\w{0,10} failed",
        "The RDMA device cannot be used",
        "The container may not use the network card: /dev/infiniband or the right to lock memory is missing.",
        by_hand("give the container /dev/infiniband and memlock unlimited", "a cluster with `privileged` has both"),
        even_as_note=True,
    ),
    # NVIDIA/nccl#1837, NVIDIA/nccl#210
    cause(
        r"ncclSocketInit: connecting to address .{0,60}neither AF_INET|Bootstrap : no (?:\w{1,30} )?(?:socket )?"
        r"interface found|no socket interface found",
        "NCCL_SOCKET_IFNAME names no interface of this host",
        "NCCL looks for an interface with an address, and finds none of that name in this container.",
        by_hand("correct NCCL_SOCKET_IFNAME in env, or remove it", "`ip -br addr` on each host; names may differ"),
        by_hand("run the container in the host's network"),
        even_as_note=True,
    ),
    # NVIDIA/nccl: src/init.cc
    cause(
        r"Duplicate GPU detected : rank (\d{1,5}) and rank (\d{1,5}) both on CUDA device",
        "Two ranks have the same GPU",
        "Ranks {0} and {1} were started on one GPU.",
        by_hand("lower tensor_parallel to the number of GPUs, or choose more hosts"),
        even_as_note=True,
    ),
    # vllm-project/vllm#18831
    cause(
        r"NCCL WARN Error while attaching to shared memory segment",
        "Ranks of one host do not share memory",
        "A rank looks for shared memory of another one and does not find it: they are in different containers, or "
        "/dev/shm was emptied.",
        by_hand("use the host's IPC for all ranks of a host"),
        set_env("NCCL_SHM_DISABLE", "1", "without shared memory, slower"),
        even_as_note=True,
    ),
    cause(
        r"No NVML device handle\. Skipping nvlink detection|peer (?:mapping|access).{0,40}not supported",
        "NCCL cannot use peer-to-peer here",
        "The GPUs of this host cannot read each other's memory.",
        set_env("NCCL_P2P_DISABLE", "1", "through the host's memory, slower"),
        even_as_note=True,
    ),
    cause(
        r"NIXL_ERR_\w{1,40}|ibv_reg_mr\(.{1,120}\) failed",
        "The KV cache cannot be moved",
        "The library that sends the KV cache to other hosts could not use the network card.",
        by_hand("start without kv_transfer_config", "the hosts then serve on their own"),
        by_hand("give the container /dev/infiniband and memlock unlimited", "a cluster with `privileged` has both"),
    ),
    # kvcache-ai/Mooncake#809
    cause(
        r"^Error from http client, (?:GET|PUT|DELETE) \S{1,200}metadata|"
        r"^Failed to (?:open segment|retrieve segment descriptor|register RDMA|install transport)",
        "The KV cache cannot be moved",
        "Mooncake, which moves the KV cache, does not reach its server or the other host.",
        by_hand("check the server's address in the connector's settings, and that no proxy stands before it: no_proxy"),
        by_hand("start without it: kv_transfer_config, kv_offloading_size, hicache and disaggregation"),
        weight=Weight.UNKNOWN,
        even_as_note=True,
    ),
    # vllm-project/vllm#6732
    cause(
        r"transport/nvls\.cc:\d{1,6} NCCL WARN ",
        "NCCL cannot use NVLS here",
        "NCCL tried a feature of NVLink switches that these GPUs or their driver do not have.",
        set_env("NCCL_NVLS_ENABLE", "0", "without that feature"),
        even_as_note=True,
    ),
    # NVIDIA/nccl: src/misc/socket.cc
    cause(
        r"NCCL WARN .{0,80}Message truncated : received (\d{1,12}) bytes instead of (\d{1,12})",
        "The ranks disagree",
        "A rank sent {0} bytes where {1} were expected: the ranks run different versions or different settings.",
        by_hand("use the same image on all hosts", "compare their digests: docker image ls --digests"),
        even_as_note=True,
    ),
    # NVIDIA/nccl-tests#188
    cause(
        r"NCCL WARN .{0,60}socket\w{1,40}: wrong (?:type|magic)|invalid nonce returned|returnedNonce INTERNAL ASSERT",
        "Ranks of different starts met",
        "A process of another start, or another program, connected to NCCL's port.",
        by_hand("stop the workload on all its hosts and launch it again"),
        by_hand("use the same image on all hosts", "compare their digests: docker image ls --digests"),
        even_as_note=True,
    ),
    # gpustack/gpustack#1201, #4128
    cause(
        r"ifa != nullptr\. Unable to find interface for: \[([^\]]{1,60})\]",
        "The rank's own address is not on this host",
        "Gloo was to use {0}, and no interface in this container has that address.",
        by_hand("correct VLLM_HOST_IP in env: each host's own address", "`hostname -I` on that host"),
        by_hand("run the container in the host's network"),
    ),
    cause(
        r"Unable to find address for: (\S{1,60})|makeDeviceForInterface\(\): unsupported gloo device",
        "GLOO_SOCKET_IFNAME names no interface of this host",
        lambda match, _: f"Gloo finds no address on the interface {shorten(match[1] or 'that was named', 60)}.",
        by_hand("correct GLOO_SOCKET_IFNAME in env, or remove it", "`ip -br addr` on each host; names may differ"),
    ),
    # vllm-project/vllm#7074
    cause(
        r"Gloo connectFullMesh failed with",
        "Gloo uses the loopback address",
        "The ranks could not connect through Gloo. Most often a host's own name leads to 127.0.0.1 there.",
        by_hand("set GLOO_SOCKET_IFNAME in env to the interface that connects the hosts"),
        by_hand("remove the host's own name from its line 127.0.1.1 in /etc/hosts"),
    ),
    # SystemPanic/vllm-windows#19
    cause(
        r"makeDeviceForHostname\(\): unsupported gloo device",
        "Gloo cannot use the host's own name",
        "The name of the host leads to no address that Gloo can use.",
        by_hand("set GLOO_SOCKET_IFNAME in env to the interface that connects the hosts"),
    ),
    # pytorch: torch/csrc/distributed/c10d/socket.cpp
    cause(
        r"server socket has failed to listen on any local network address.{0,200}?port: (\d{1,6})",
        "A port between the ranks is taken",
        "Port {0} is taken on the head: most often by a rank of an earlier start that still runs.",
        by_hand("stop what listens there: ss -ltnp", "or the workload that was not stopped"),
    ),
    cause(
        r"client socket has failed to connect to any network address of \(([^,]{1,200}), (\d{1,6})\)",
        "The head did not answer",
        "Nothing answered this rank at {0} port {1}.",
        by_hand("read the head's log"),
        by_hand("check that nothing between the hosts blocks ports"),
        weight=Weight.CONSEQUENCE,
    ),
    # vllm-project/vllm#15385, #19543
    cause(
        r"Failed to connect to GCS at address (\S{1,100})|Timed out while waiting for GCS to become available",
        "Ray's head does not answer",
        lambda match, _: f"This host could not reach Ray's head{f' at {match[1]}' if match[1] else ''}.",
        by_hand("read the head's log: `ray start --head` may have failed there"),
        by_hand("check that nothing between the hosts blocks Ray's ports (6379 and those above 10000)"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
    # ray: python/ray/_private/utils.py check_version_info
    cause(
        r"Version mismatch: The cluster was started with",
        "Ray differs between the hosts",
        "The hosts' containers have different versions of Ray or Python.",
        by_hand("use the same image on all hosts", "compare their digests: docker image ls --digests"),
    ),
    # ray-project/ray#19834
    cause(
        r"Failed to start the grpc server\. The specified port is (\d{1,6})",
        "A port of Ray is taken",
        "A part of Ray wants port {0}, and another program has it: most often an earlier Ray that still runs.",
        by_hand("stop an earlier start that still runs on that host: docker ps, ss -ltnp"),
        by_hand("give that part another port, or leave Ray's ports to it"),
    ),
    # ray-project/ray#35077, #50474, #62883
    cause(
        r"Unable to register worker with raylet|The current node timed out during startup|"
        r"Ray processes died unexpectedly|while waiting for node to startup\. Did not find socket name|"
        r"some of the Ray processes failed to startup",
        "Ray did not start",
        "Ray's own processes did not come up in this container: too little shared memory, memory or processes.",
        by_hand("read /tmp/ray/session_latest/logs/raylet.err in that container"),
        by_hand("raise shm_size, or use the host's IPC; check the limit on processes"),
    ),
    cause(
        r"Could not find any running Ray instance",
        "Ray does not run",
        "The engine looks for a Ray that runs already, and there is none in this container.",
        by_hand("let sparkrun-tui start it: `runtime: vllm` with Ray in the image"),
        set_value("distributed_executor_backend", "mp", Context({}), "without Ray"),
    ),
    cause(
        r"No available node types can fulfill resource request",
        "Ray has too few GPUs",
        "Ray waits for GPUs that no host has joined with.",
        by_hand("check that every host's container runs and has joined: ray status in the head's container"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
    cause(
        r"gai error: -\d{1,3} - (Name or service not known|Temporary failure in name resolution)",
        "A host's name is not known there",
        "The head is named by a name that this host cannot look up.",
        by_hand("use addresses instead of names in the cluster"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
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
        r"NCCL WARN NET/IB ?: No device found|NCCL WARN Failed to open IB device",
        "NCCL finds no network device",
        "NCCL was to use RDMA and finds no device in this container: /dev/infiniband is missing in it, or NCCL_IB_HCA "
        "names another device.",
        by_hand("give the container /dev/infiniband", "a cluster with `privileged` has it"),
        by_hand("check NCCL_IB_HCA in env against `ibdev2netdev` on each host"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
    cause(
        r"Ray component \w{1,40} is trying to use a port number (\d{1,6}) that is used by other components",
        "Two parts of Ray want the same port",
        "Port {0} is given to two parts of Ray.",
        by_hand("leave Ray's ports to it, or give each part its own range"),
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
        lambda match, _: f"The ranks could not set up or keep their connection: {(first_of(match, 1, 2, 3)).strip()}.",
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
    # NVIDIA/nccl#1842
    cause(
        r"Call to ibv_reg_mr\w* failed with error (?!Cannot allocate memory)([A-Z][a-z ]{2,60})",
        "RDMA memory cannot be registered",
        "The network card refuses memory: {0}. Most often it was to read the GPU's memory, which this driver does not"
        " allow.",
        set_env("NCCL_NET_GDR_LEVEL", "LOC", "through the host's memory"),
        by_hand("update the host's driver, then restart the host"),
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
        by_hand("read the logs of all hosts", "a rank that died there cannot be reached, either"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
    cause(
        r"Timed out waiting (\d{1,12})ms for (?:recv|send) operation to complete",
        "A host fell silent",
        "Another rank did not answer for {0} ms: power, cable or a frozen host.",
        by_hand("check the hosts and the link, then start all ranks together"),
        by_hand("read the logs of all ranks", "one that hangs or has died is the cause"),
        weight=Weight.CONSEQUENCE,
        even_as_note=True,
    ),
    # sgl-project/sglang#6017, #7888
    cause(
        r"nvshmem initialization failed|nvshmem setup connections failed|/nvshmem/\S{1,200}: non-zero status: \d{1,4}",
        "NVSHMEM cannot connect the ranks",
        "The library that experts on several hosts talk through could not set up its connections.",
        by_hand("another moe_a2a_backend (SGLang) or all2all_backend (vLLM)", "without DeepEP"),
        by_hand("NVSHMEM_HCA_LIST in env: the devices that connect the hosts", "`ibdev2netdev` on each host"),
        by_hand("leave out enable_expert_parallel, ep_size"),
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
    # vllm-project/vllm#52907
    cause(
        r"DistStoreError: wait timeout after (\d{1,12})ms, keys: ",
        "Not all ranks connected",
        "A rank waited {0} ms for another one, which did not come or is stuck.",
        by_hand("read the other host's log", "a rank that failed there cannot join"),
        by_hand("check that all ranks run the same image, and that nothing between the hosts blocks ports"),
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
