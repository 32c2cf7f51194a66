#!/bin/bash
# Stands in for run-recipe.sh of eugr/spark-vllm-docker: reads a version-1 recipe, starts a sleeping container on every
# node over ssh, applies its mods, and executes the recipe's command in them; or, for --build-only, has every node hold
# the recipe's image. What it does not know, it refuses.
set -e
file=$1
shift
name= nodes= port=29501 daemon= build=
while [ $# -gt 0 ]; do
    case $1 in
        -d) daemon=yes ;;
        --build-only) build=yes ;;
        --solo) nodes=127.0.0.1 ;;
        --name) name=$2; shift ;;
        -n) nodes=${2//,/ }; shift ;;
        --master-port) port=$2; shift ;;
        --tensor-parallel) shift ;;
        *) echo "unknown argument: $1" >&2; exit 2 ;;
    esac
    shift
done
[ "$nodes" ] && { [ "$build" ] || { [ "$daemon" ] && [ "$name" ]; }; } || { echo "wanted: -d --name and nodes" >&2; exit 2; }
! read -r _ || { echo "stdin is not closed" >&2; exit 2; }

# image and command of the recipe, its defaults put in by Python's format; then its build arguments, and its mods.
readarray -t recipe < <(python3 - "$file" <<'PYTHON'
import ast, sys
top, defaults, section, lists = {}, {}, "", {"mods": [], "build_args": []}
for line in open(sys.argv[1]):
    key, _, value = line.strip().partition(": ")
    if line.startswith("- "):
        lists[section].append(line[2:].strip().strip("'\""))
    elif not line.startswith(" "):
        section = key.rstrip(":")
        top[key] = value
    elif section == "defaults":
        defaults[key] = value.strip("'\"")
assert top["recipe_version"].strip("'\"") == "1", top
print(top["container"])
print(top["command"].strip("'\"").format(**defaults))
print(*lists["build_args"])
print(*lists["mods"])
PYTHON
)
image=${recipe[0]} command=${recipe[1]} arguments=${recipe[2]} mods=${recipe[3]}
if [ "$build" ]; then
    for node in $nodes; do
        have="docker image inspect $image >/dev/null 2>&1 || { docker pull -q spark-tests/vllm:1 && docker tag spark-tests/vllm:1 $image; }"
        if [ "$node" = 127.0.0.1 ] || ip -o addr | grep -qF " $node/"; then bash -c "$have"; else ssh -o BatchMode=yes "$node" "$have" </dev/null; fi
        echo "Built $image with $arguments for $node"
    done
    exit 0
fi
for step in 1 2 3 4 5 6; do echo "Preparing, step $step of 6"; sleep 0.5; done

set -- $nodes
head=$1 count=$# rank=0
on() { if [ "$1" = "$head" ]; then shift; bash -c "$1"; else ssh -o BatchMode=yes "$1" "$2" </dev/null; fi; }
for node in $nodes; do
    [ "$count" = 1 ] || extra="-e VLLM_HOST_IP=$node"
    echo "Starting $name on $node"
    on "$node" "docker image inspect $image >/dev/null && docker run -d --rm --name $name --network host --ipc host \
        --gpus all $extra -v \$HOME/.cache/huggingface:/root/.cache/huggingface $VLLM_SPARK_EXTRA_DOCKER_ARGS \
        $image sleep infinity" >/dev/null
done
for mod in $mods; do
    to=/workspace/mods/${mod##*/}
    [ -f "$mod/run.sh" ] || { echo "no mod $mod" >&2; exit 2; }
    for node in $nodes; do
        on "$node" "docker exec $name mkdir -p $to"
        if [ "$node" = "$head" ]; then docker cp "$mod/." "$name:$to" >/dev/null; else
            tar -C "$mod" -cf - . | ssh -o BatchMode=yes "$node" "docker cp - $name:$to"
        fi
        on "$node" "docker exec $name bash -c 'export WORKSPACE_DIR=\$PWD && cd $to && chmod +x run.sh && ./run.sh'"
        echo "Applied $mod on $node"
    done
done
for node in $nodes; do
    ranks=
    [ "$count" = 1 ] || ranks=" --nnodes $count --node-rank $rank --master-addr $head --master-port $port"
    [ "$rank" = 0 ] || ranks="$ranks --headless"
    on "$node" "docker exec -d $name bash -c '$command$ranks >/proc/1/fd/1 2>&1'"
    rank=$((rank + 1))
done
echo "Launched on $count nodes"
