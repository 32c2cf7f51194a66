#!/bin/bash
# Stands in for run-recipe.sh of eugr/spark-vllm-docker: reads a version-1 recipe, starts a sleeping container on every
# node over ssh, and executes the recipe's command in them. What it does not know, it refuses.
set -e
file=$1
shift
name= nodes= port=29501 daemon=
while [ $# -gt 0 ]; do
    case $1 in
        -d) daemon=yes ;;
        --solo) nodes=127.0.0.1 ;;
        --name) name=$2; shift ;;
        -n) nodes=${2//,/ }; shift ;;
        --master-port) port=$2; shift ;;
        --tensor-parallel) shift ;;
        *) echo "unknown argument: $1" >&2; exit 2 ;;
    esac
    shift
done
[ "$daemon" ] && [ "$nodes" ] && [ "$name" ] || { echo "wanted: -d --name and nodes" >&2; exit 2; }
! read -r _ || { echo "stdin is not closed" >&2; exit 2; }

# image and command of the recipe, its defaults put in by Python's format.
readarray -t recipe < <(python3 - "$file" <<'PYTHON'
import ast, sys
top, defaults, section = {}, {}, ""
for line in open(sys.argv[1]):
    key, _, value = line.strip().partition(": ")
    if not line.startswith(" "):
        section = key.rstrip(":")
        top[key] = value
    elif section == "defaults":
        defaults[key] = value.strip("'\"")
assert top["recipe_version"].strip("'\"") == "1", top
print(top["container"])
print(top["command"].strip("'\"").format(**defaults))
PYTHON
)
image=${recipe[0]} command=${recipe[1]}
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
for node in $nodes; do
    ranks=
    [ "$count" = 1 ] || ranks=" --nnodes $count --node-rank $rank --master-addr $head --master-port $port"
    [ "$rank" = 0 ] || ranks="$ranks --headless"
    on "$node" "docker exec -d $name bash -c '$command$ranks >/proc/1/fd/1 2>&1'"
    rank=$((rank + 1))
done
echo "Launched on $count nodes"
