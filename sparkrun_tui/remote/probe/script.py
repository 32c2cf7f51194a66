"""The script that reads all facts of a host in one run; its output is `key=value` lines and marked blocks."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base import shell
from sparkrun_tui.remote.probe.cached_model import Wanted, question

TOOLS = ("rsync", "setsid", "tail", "sha256sum", "systemd-run", "git", "nvidia-smi", "docker", "base64", "mkfifo")
"""Commands whose presence is asked for."""

CONTAINERD_ROOT = "/var/lib/containerd"
"""Where containerd keeps images; Docker's own folder has none where its image store is containerd's."""

GPU_FIELDS = "name,driver_version,memory.total,utilization.gpu,power.draw,temperature.gpu,clocks.sm,memory.used"

# Every part is allowed to fail or be missing; nothing may hang: slow tools run under `timeout` where there is one.
_SCRIPT = r"""# sparkrun-tui: probe
LC_ALL=C; export LC_ALL
limit() {{ if command -v timeout >/dev/null 2>&1; then timeout "$@"; else shift; "$@"; fi; }}
block() {{ echo "[[$1"; shift; "$@" 2>/dev/null; echo; echo "]]"; }}
hf=${{HF_HOME:-"${{XDG_CACHE_HOME:-$HOME/.cache}}/huggingface"}}
echo "epoch=$(date +%s.%N)"
echo "hostname=$(hostname 2>/dev/null || uname -n)"
echo "arch=$(uname -m)"
echo "kernel=$(uname -r)"
echo "user=$(id -un)"
echo "home=$HOME"
echo "hf_cache=$hf"
echo "boot_id=$(cat {root}/proc/sys/kernel/random/boot_id 2>/dev/null)"
block meminfo cat {root}/proc/meminfo
lock=$HOME/.cache/sparkrun-tui/lock
if [ -d "$lock" ]; then
  echo "lease_renewed=$(head -c 32 "$lock/renewed" 2>/dev/null || stat -c %Y "$lock" 2>/dev/null)"
  block lease head -c 2048 "$lock/owner.json"
fi
for tool in {tools}; do command -v "$tool" >/dev/null 2>&1 && echo "tool=$tool"; done
docker_root=
look() {{
  limit 10 "$@" docker info --format 'version={{{{.ServerVersion}}}}
root={{{{.DockerRootDir}}}}
runtimes={{{{range $name, $runtime := .Runtimes}}}}{{{{$name}}}} {{{{end}}}}
security={{{{range .SecurityOptions}}}}{{{{.}}}} {{{{end}}}}
store={{{{range .DriverStatus}}}}{{{{index . 1}}}} {{{{end}}}}' </dev/null 2>&1
}}
if command -v docker >/dev/null 2>&1; then
  said=$(look env)
  case $said in *"ermission denied"*)
    if command -v sudo >/dev/null 2>&1 && sudo -n true >/dev/null 2>&1; then said=$(look sudo -n); fi ;;
  esac
  echo "[[docker"; printf '%s\n' "$said"; echo "]]"
  docker_root=$(printf '%s\n' "$said" | sed -n 's/^root=//p' | head -n 1)
else
  for socket in /var/run/docker.sock; do
    [ -S "$socket" ] || continue
    if [ -r "$socket" ] && [ -w "$socket" ]; then echo "socket=usable"; else echo "socket=denied"; fi
  done
fi
command -v nvidia-container-runtime-hook >/dev/null 2>&1 && echo "gpu_hook=yes"
for folder in {root}/etc/cdi {root}/var/run/cdi; do
  grep -qs nvidia "$folder"/* && echo "gpu_hook=yes"
done
disk() {{
  at=$2
  while [ -n "$at" ] && [ ! -e "$at" ] && [ "$at" != / ] && [ "$at" != . ]; do at=$(dirname -- "$at"); done
  room=$(df -Pk -- "$at" 2>/dev/null | tail -n 1)
  nodes=$(df -Pi -- "$at" 2>/dev/null | tail -n 1)
  printf 'disk=%s\t%s\t%s\n' "$1" "$room" "$nodes"
}}
disk "$hf" "$hf"
[ -n "$docker_root" ] && disk "$docker_root" "$docker_root"
[ -d {root}{containerd} ] && disk {containerd} {root}{containerd}
{disks}
if command -v nvidia-smi >/dev/null 2>&1; then
  block gpus limit 10 nvidia-smi --query-gpu={fields} --format=csv,noheader,nounits
  block smi limit 10 nvidia-smi
  limit 10 nvidia-smi --query-compute-apps=pid,used_memory --format=csv,noheader,nounits 2>/dev/null |
    while IFS=', ' read -r pid used rest; do
      case $pid in ''|*[!0-9]*) continue ;; esac
      container=$(grep -oE '[0-9a-f]{{64}}' {root}/proc/"$pid"/cgroup 2>/dev/null | head -n 1)
      printf 'gpu_held=%s\t%s\n' "$container" "$used"
    done
fi
block route ip -4 route show default
block interfaces ls {root}/sys/class/net
block addresses ip -4 -o addr show
for device in {root}/sys/class/infiniband/*; do
  [ -d "$device" ] || continue
  echo "infiniband=${{device##*/}}"
  for port in "$device"/ports/*; do
    grep -qs ACTIVE "$port/state" || continue
    net=$(cat "$port"/gid_attrs/ndevs/0 2>/dev/null)
    [ -n "$net" ] || net=$(ls "$device/device/net" 2>/dev/null | head -n 1)
    index=
    for type in "$port"/gid_attrs/types/*; do
      grep -qs 'v2' "$type" || continue
      number=${{type##*/}}
      case $(cat "$port/gids/$number" 2>/dev/null) in
        0000:0000:0000:0000:0000:ffff:*) index=$number; break ;;
      esac
    done
    printf 'rdma=%s\t%s\t%s\n' "${{device##*/}}" "$net" "$index"
  done
done
[ -d {root}/dev/infiniband ] && echo "infiniband_dev=yes"
if command -v ss >/dev/null 2>&1; then block listen ss -Hltnp
else block tcp cat {root}/proc/net/tcp {root}/proc/net/tcp6
fi
{models}
echo "epoch_end=$(date +%s.%N)"
echo "end=yes"
"""


def script(paths: Sequence[str] = (), root: str = "", models: Sequence[Wanted] = ()) -> shell.Text:
    """The probe's script; disks under `paths` are asked for too, and headers of `models` in the cache.

    `root` is where /proc, /sys, /dev and /etc lie.
    """
    disks = [shell.script("disk {name} {path}\n", name=path, path=shell.path_word(path)) for path in paths]
    return shell.script(
        _SCRIPT,
        root=root,
        tools=shell.words(TOOLS),
        fields=GPU_FIELDS,
        containerd=CONTAINERD_ROOT,
        disks=shell.joined(disks) if disks else shell.script(":"),
        models=question(models),
    )
