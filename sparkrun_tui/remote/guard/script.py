"""The memory guard: a shell script that runs on a host and ends a container before the host runs out of memory.

It is written for any POSIX shell (dash, busybox). A turn of its loop starts one process, `sleep`; all else is done by
builtins, since a host that is short of memory is slow to start a process. It ends when the container has ended.
"""

from __future__ import annotations

from sparkrun_tui.base import shell

PAUSE = "0.5"
"""Seconds between two samples."""

ENOUGH = 3
"""Samples in a row below the floor that end the container; one below half of the floor does so, too."""

TURNS = 10
"""Samples of which the least is kept as one line of the past: one line for about five seconds."""

RECENT = 130
"""Lines in each of two files with every sample, written in turn: together they hold more than the last minute."""

PAST = 720
"""Lines in each of two files with the least of ten samples, written in turn: together they hold the last hour."""

# Redirections that may fail stand at `read` and `echo` only: at `:` and `exec` they would end the shell.
# There are no single quotes in it, so that it stays readable when it is shown as a word.
_GUARD = """\
# sparkrun-tui: guard
exec 2>/dev/null
set -f
umask 077
LC_ALL=C
folder={folder} container={container} floor={floor} enough={enough} proc={proc}
echo -1000 >"$proc/self/oom_score_adj"
read -r score <"$proc/self/oom_score_adj"
read -r boot <"$proc/sys/kernel/random/boot_id"
read -r began rest <"$proc/uptime"
echo "boot $boot
epoch $(date +%s)
began $began
floor $floor
score $score" >"$folder/about"
way=
docker_() {{ $way docker "$@"; }}
# Asks Docker: sets state, pid, and born, by which the process is told from a later one of the same number.
look() {{
  set -- $(docker_ inspect --format "{{{{.State.Status}}}} {{{{.State.Pid}}}}" "$container")
  state=${{1-}} pid=${{2-}} born=
  case $pid in ""|0|*[!0-9]*) return ;; esac
  read -r line <"$proc/$pid/stat" || return
  set -- ${{line##*) }}
  born=${{20-}}
}}
alive() {{
  [ -n "$born" ] || return 1
  read -r line <"$proc/$pid/stat" || return 1
  set -- ${{line##*) }}
  [ "${{20-}}" = "$born" ] && [ "$1" != Z ]
}}
flush() {{
  if [ -n "$flusher" ] && kill -0 "$flusher"; then return; fi
  sync "$folder/now.$half" "$folder/past.$side" "$folder/verdict" >/dev/null &
  flusher=$!
}}
stop_it() {{
  if [ -n "$born" ] && ! alive; then return; fi
  if [ -z "$killer" ] || ! kill -0 "$killer"; then
    docker_ kill "$container" >/dev/null &
    killer=$!
  fi
  # Docker may be stuck. Where this shell may, it ends the first process of the container itself.
  if [ "$tries" -ge 6 ] && [ -n "$born" ]; then kill -s KILL "$pid"; fi
  if [ "$tries" -eq 0 ] && [ "$stops" -lt 20 ]; then
    echo "stop $now $free" >>"$folder/verdict"
    stops=$((stops + 1))
    flush
  fi
  tries=$((tries + 1))
}}
finish() {{
  echo "end $now ${{state:-gone}}" >>"$folder/verdict"
  flush
  exit 0
}}
turn=0 low=0 tries=0 stops=0 misses=0 rest_turns=0 count=0 half=0 lines=0 side=0 least= flusher= killer=
look
if [ -z "$state" ]; then
  way="sudo -n"
  look
  [ -n "$state" ] || way=
fi
while true; do
  now=0 free= some=-
  read -r now rest <"$proc/uptime"
  while read -r key value rest; do
    case $key in MemAvailable:) free=$value; break ;; esac
  done <"$proc/meminfo"
  case $free in *[!0-9]*) free= ;; esac
  if read -r key value rest <"$proc/pressure/memory"; then some=${{value#avg10=}}; fi
  if [ -n "$free" ] && [ "$free" -lt "$floor" ]; then
    low=$((low + 1))
    if [ "$free" -lt $((floor / 2)) ]; then low=$((low + enough)); fi
    if [ "$low" -ge "$enough" ]; then stop_it; fi
  else
    low=0 tries=0
  fi
  if [ -n "$free" ]; then
    if [ "$count" -ge {recent} ]; then count=0 half=$((1 - half)); fi
    if [ "$count" -eq 0 ]; then echo "$now $free $some" >"$folder/now.$half"
    else echo "$now $free $some" >>"$folder/now.$half"; fi
    count=$((count + 1))
    if [ -z "$least" ] || [ "$free" -lt "$least" ]; then least=$free; fi
    if [ "$low" -eq 1 ]; then flush; fi
  fi
  turn=$((turn + 1))
  if [ "$turn" -ge {turns} ] && [ -n "$least" ]; then
    if [ "$lines" -ge {past} ]; then lines=0 side=$((1 - side)); fi
    if [ "$lines" -eq 0 ]; then echo "$now $least $some" >"$folder/past.$side"
    else echo "$now $least $some" >>"$folder/past.$side"; fi
    lines=$((lines + 1)) turn=0 least=
    flush
  fi
  if alive; then
    misses=0 rest_turns=0
  elif [ "$rest_turns" -gt 0 ]; then
    rest_turns=$((rest_turns - 1))
  else
    look
    case $state in
    exited|dead|removing) finish ;;
    running|paused)
      # Where the process is hidden from this user, Docker is asked now and then.
      misses=0 rest_turns=30 ;;
    *)
      misses=$((misses + 1)) rest_turns=4
      if [ "$misses" -ge 6 ]; then finish; fi ;;
    esac
  fi
  sleep {pause} || sleep 1
done
"""

_READ = """\
# sparkrun-tui: guard-read
folder={folder}
[ -d "$folder" ] || {{ echo missing; exit 0; }}
part() {{ echo "[$1]"; shift; "$@" 2>/dev/null; }}
part host cat /proc/sys/kernel/random/boot_id /proc/uptime
part about head -c 1000 -- "$folder/about"
part verdict head -c 2000 -- "$folder/verdict"
part past tail -q -n {past} -- "$folder/past.0" "$folder/past.1"
part now tail -q -n {recent} -- "$folder/now.0" "$folder/now.1"
echo "[end]"
"""

# A record stays when its host froze and nobody came back for it. The one that begins here is fresh.
_FORGET = """\
# sparkrun-tui: guard-forget
for old in {root}/*/guard; do
  [ -d "$old" ] || continue
  any=$(find "$old" -type f | head -n 1)
  fresh=$(find "$old" -type f -mtime -30 | head -n 1)
  # Where nothing is found at all, nothing is known: it may be the record of a guard that runs.
  [ -z "$any" ] || [ -n "$fresh" ] || rm -rf -- "${{old%/guard}}"
done
"""


def guard(folder: shell.Text, container: str, floor: int, *, proc: str = "/proc", pause: str = PAUSE) -> shell.Text:
    """The guard of `container`, an id or a name, which keeps its record in `folder`, an existing folder of the host.

    `floor` is KiB of MemAvailable. `proc` is where the kernel's files lie; `pause` is seconds between two samples.
    """
    return shell.script(
        _GUARD,
        folder=folder,
        container=container,
        floor=floor,
        enough=ENOUGH,
        proc=proc,
        recent=RECENT,
        turns=TURNS,
        past=PAST,
        pause=pause,
    )


def read(folder: shell.Text, *, past: int, recent: int) -> shell.Text:
    """Prints the record in `folder`: up to `past` and `recent` lines of each of its two files of either kind."""
    return shell.script(_READ, folder=folder, past=past, recent=recent)


def forget(root: shell.Text) -> shell.Text:
    """Removes records below `root` that were not written for thirty days."""
    return shell.script(_FORGET, root=root)
