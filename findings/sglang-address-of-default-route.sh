#!/usr/bin/env bash
# SGLang 0.5.23 gives other hosts the address of its default route, whatever interface NCCL and Gloo were told to use.
#
# Why it matters: on hosts with a fast link beside the office network or Wi-Fi, a launch over several hosts names that
# link in NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME and passes an address of it as --dist-init-addr. NCCL then connects,
# and the start waits for ever behind it: ranks also talk over ZeroMQ, and the queue of rank 0
# (srt/distributed/device_communicators/shm_broadcast.py) is offered at the address that get_local_ip_auto returns. Only
# SGLANG_HOST_IP or HOST_IP change it, each host's own. SGLANG_LOCAL_IP_NIC needs a package that is no dependency.
#
# Seen on Python 3.11 in a network namespace with `wifi0` (10.77.0.5, default route) and `fast0` (192.168.177.5): with
# both variables naming fast0 the answer is 10.77.0.5; with SGLANG_HOST_IP=192.168.177.5 it is that.
#
# Needs Linux with user namespaces and iproute2. The one module that holds the function is run, with its two imports.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
"${SPARKRUN_PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check psutil==7.1.3 pyzmq==27.1.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps sglang==0.5.23

cat >"$folder/ask.py" <<'PYTHON'
import importlib.util
import os
import pathlib
import sys
import sysconfig

path = pathlib.Path(sysconfig.get_paths()["purelib"], "sglang/srt/utils/network.py")
spec = importlib.util.spec_from_file_location("network", path)
network = importlib.util.module_from_spec(spec)
sys.modules["network"] = network
spec.loader.exec_module(network)

os.environ |= {"NCCL_SOCKET_IFNAME": "fast0", "GLOO_SOCKET_IFNAME": "fast0", "TP_SOCKET_IFNAME": "fast0"}
chosen = network.get_local_ip_auto("0.0.0.0")
print("interfaces named for NCCL, Gloo and TP: fast0; address:", chosen)
os.environ["SGLANG_HOST_IP"] = "192.168.177.5"
stated = network.get_local_ip_auto("0.0.0.0")
print("with SGLANG_HOST_IP:", stated)

assert chosen == "10.77.0.5", chosen
assert stated == "192.168.177.5", stated
PYTHON

cat >"$folder/inside.sh" <<'SH'
set -e
ip link set lo up
ip link add wifi0 type veth peer name wifi1
ip link add fast0 type veth peer name fast1
ip link set wifi1 up
ip link set fast1 up
ip address add 10.77.0.5/24 dev wifi0
ip address add 192.168.177.5/24 dev fast0
ip link set wifi0 up
ip link set fast0 up
ip route add default via 10.77.0.1
exec "$1" "$2"
SH
unshare --map-root-user --net sh "$folder/inside.sh" "$folder/venv/bin/python" "$folder/ask.py"
