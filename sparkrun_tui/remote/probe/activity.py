"""What a container and its host do right now, from counters read twice: processors, disks, network, GPUs."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading.numbers import decimal, whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.transport import Outcome, Transport

TIMEOUT = 40.0
BETWEEN = 3
"""Seconds between the two readings."""

COMPILERS = frozenset(
    {
        *("nvcc", "cicc", "ptxas", "cudafe++", "fatbinary", "nvlink"),
        *("ninja", "cmake", "cc1plus", "cc1", "g++", "gcc", "clang", "clang++"),
    }
)
"""Programs that compile kernels while an engine starts. The kernel knows the first 15 characters of a name."""

_SECTOR = 512
_WORD = 4
"""RDMA devices count their data in words of four bytes."""
_MOST_CORES = 4096.0
_MOST_PROGRAMS = 64

# The processes of a container are those whose control group holds its id; everybody may read their CPU time and their
# names. Only whole disks are counted, and only interfaces that lead out of the host.
_SCRIPT = """\
# sparkrun-tui: activity
LC_ALL=C; export LC_ALL
limit() {{ if command -v timeout >/dev/null 2>&1; then timeout "$@"; else shift; "$@"; fi; }}
id={container}
sums() {{ awk '{{ for (n = 1; n <= NF; n++) all += $n }} END {{ printf "%.0f\\n", all }}'; }}
reading() {{
  printf 'time\\t%s\\n' "$(cut -d ' ' -f 1 {root}/proc/uptime)"
  for place in $(grep -ls -e "$id" {root}/proc/[0-9]*/cgroup 2>/dev/null); do
    sed 's/^[0-9]* (\\(.*\\)) \\([A-Za-z]\\) /\\1\\t\\2 /' "${{place%cgroup}}stat" 2>/dev/null
  done | awk -F '\\t' '
    {{ split($2, at, " "); ticks += at[12] + at[13]; if (!($1 in seen)) {{ seen[$1]; print "program\\t" $1 }} }}
    END {{ printf "ticks\\t%.0f\\nprocesses\\t%d\\n", ticks, NR }}'
  for disk in {root}/sys/block/*/stat; do
    case $disk in */loop*|*/ram*|*/dm-*|*/md*|*/zram*) ;; *) awk '{{ print $3 }}' "$disk" 2>/dev/null ;; esac
  done | printf 'sectors\\t%s\\n' "$(sums)"
  sed 's/:/ /' {root}/proc/net/dev 2>/dev/null | awk '
    NF > 10 && $1 !~ /^(lo|docker|veth|br-|virbr|cni|flannel)/ {{ print $2, $10 }}' | printf 'bytes\\t%s\\n' "$(sums)"
  cat {root}/sys/class/infiniband/*/ports/*/counters/port_rcv_data \\
    {root}/sys/class/infiniband/*/ports/*/counters/port_xmit_data 2>/dev/null | printf 'words\\t%s\\n' "$(sums)"
}}
printf 'hz\\t%s\\n' "$(getconf CLK_TCK 2>/dev/null || echo 100)"
reading
sleep {between}
reading
if command -v nvidia-smi >/dev/null 2>&1; then
  limit 10 nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits 2>/dev/null | sed 's/^/gpu\\t/'
fi
echo end
"""


@dataclass(frozen=True, slots=True)
class Activity:
    """What a container and its host did during a few seconds. None where it is not known.

    `cores` is the CPU time of the container in whole processors. The others are of the whole host: bytes a second read
    from its disks, bytes a second over its network, and the utilisation of the busiest GPU in percent.
    """

    cores: float | None = None
    disk: float | None = None
    network: float | None = None
    gpu: float | None = None
    compilers: tuple[str, ...] = ()
    """The compilers that run in the container."""


async def activity_of(transport: Transport, container: str, root: str = "") -> Activity:
    """What a container (its full id) and its host do now; takes a few seconds. Raises `LinkLost`, `HostError`.

    `root` is where /proc and /sys lie.
    """
    result = await transport.run(
        shell.script(_SCRIPT, container=container, between=BETWEEN, root=root), timeout=TIMEOUT
    )
    if result.outcome is Outcome.LOST:
        raise LinkLost("the connection was lost while the host was watched", host=transport.name)
    if not result.ok:
        said = clean_line(result.stderr.strip().rpartition("\n")[2]) or result.outcome.value
        raise HostError(f"what the host does cannot be seen: {shorten(said, 200)}", host=transport.name)
    return read_activity(result.stdout)


def read_activity(text: str) -> Activity:
    """The script's answer; figures that are missing or absurd are not known."""
    readings: list[dict[str, str]] = []
    compilers: dict[str, None] = {}
    gpus: list[float] = []
    hz = 100.0
    for line in text.splitlines():
        word, _, rest = line.partition("\t")
        if word == "time":
            readings.append({})
        if word == "hz":
            hz = decimal(rest, least=1.0, most=1e6) or hz
        elif word == "gpu":
            load = decimal(rest.strip(), least=0.0, most=100.0)
            if load is not None:
                gpus.append(load)
        elif word == "program" and rest in COMPILERS and len(compilers) < _MOST_PROGRAMS:
            compilers[rest] = None
        elif readings:
            readings[-1][word] = rest
    if len(readings) != 2:
        return Activity(gpu=max(gpus, default=None), compilers=tuple(compilers))
    before, after = readings
    cores = None
    if whole(after.get("processes", "")):
        cores = _rate(before, after, "ticks", 1 / hz)
    if cores is not None and cores > _MOST_CORES:
        cores = None
    network, words = _rate(before, after, "bytes", 1), _rate(before, after, "words", _WORD)
    if network is not None and words is not None:
        network += words
    return Activity(cores, _rate(before, after, "sectors", _SECTOR), network, max(gpus, default=None), tuple(compilers))


def _rate(before: Mapping[str, str], after: Mapping[str, str], name: str, unit: float) -> float | None:
    """How much a counter grew a second, in `unit`s; None where it did not grow as counters do."""
    first, second = whole(before.get(name, ""), most=1 << 64), whole(after.get(name, ""), most=1 << 64)
    begin, end = decimal(before.get("time", ""), least=0.0), decimal(after.get("time", ""), least=0.0)
    if first is None or second is None or begin is None or end is None:
        return None
    if end <= begin or second < first:
        return None
    return (second - first) * unit / (end - begin)
