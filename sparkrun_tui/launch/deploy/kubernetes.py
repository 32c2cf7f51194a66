"""A service for Kubernetes: a Deployment on one node, a LeaderWorkerSet on several, with what they need beside them.

Sources: Kubernetes' API reference 1.37 (apps/v1, v1); LeaderWorkerSet v1 (leaderworkerset.x-k8s.io), whose controller
sets LWS_LEADER_ADDRESS and LWS_WORKER_INDEX in every container.
"""

from __future__ import annotations

from typing import Any

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.engines.plan import ContainerSpec, Mount
from sparkrun_tui.launch.deploy.service import PORT_NAME, START_SECONDS, Service, comments, fetch_command
from sparkrun_tui.launch.deploy.yaml_text import document
from sparkrun_tui.recipe.names.local_model import CACHE_TARGETS

LEADER = "lws-leader-address"
"""The name of the head node in a plan that becomes a LeaderWorkerSet."""
LEADER_VARIABLE = "LWS_LEADER_ADDRESS"
"""What a LeaderWorkerSet puts in its place."""
_WORKER = "lws-worker-address"
_NODE_RANK = late_regex(r"(--node-rank[ =])[0-9]{1,4}(?![0-9])")
_OWN_ADDRESS = late_regex(rf"(--node-ip-address[ =]){LEADER}")
_REPLACED = late_regex(r"\$(?=[$(])")
"""A dollar sign by which Kubernetes would begin to replace something."""
LABEL = "app.kubernetes.io/name"
_CACHE = "cache"
_ENGINE_CACHE = ".cache/sparkrun-tui/engine/"
_GGUF_IMAGE = "python:3.13-slim"
"""Fetches a GGUF file, which llama-server's images cannot: they hold no Python."""
_SPACE_GIB = 300
"""The size that the claim of the cache asks for; it is to be adapted to the model."""


def host_names(count: int) -> tuple[str, ...]:
    """The names that the hosts of a plan must have to be exported: those of what Kubernetes puts in their places."""
    return (LEADER, *(f"{_WORKER}-{number}" for number in range(1, count)))


def manifests(service: Service) -> str:
    """The objects as YAML documents: a claim for the cache, the workload, and a Service before its head.

    Raises `LaunchError` where the ranks' commands differ in more than their number.
    """
    if len(service.ranks) == 1:
        objects = [claim(service, "ReadWriteOnce"), _deployment(service), front(service, {LABEL: service.name})]
    else:
        leader = {"leaderworkerset.sigs.k8s.io/name": service.name, "leaderworkerset.sigs.k8s.io/worker-index": "0"}
        objects = [claim(service, "ReadWriteMany"), _leader_worker_set(service), front(service, leader)]
    lines = head_lines(service, "kubernetes", "LeaderWorkerSet (https://lws.sigs.k8s.io)")
    return comments(lines) + "---\n".join(map(document, objects))


def head_lines(service: Service, form: str, needs: str) -> list[str]:
    """What people read first: how to start it, what the cluster `needs`, and what is left out."""
    lines = [
        f"{service.recipe} ({service.engine}), exported by sparkrun-tui for {form}.",
        f"kubectl apply -f FILE; kubectl port-forward service/{service.name} {service.port}",
    ]
    if len(service.ranks) > 1:
        lines.append(f"The cluster needs {needs}.")
        lines.append(
            "The cache is one volume of all nodes (ReadWriteMany): name a storage class that has such volumes."
        )
    if service.secrets:
        made = " ".join(f"--from-literal={name}=..." for name in service.secrets)
        lines.append(f"kubectl create secret generic {service.name} {made}")
    devices = ", ".join(service.head.devices)
    if devices:
        lines.append(f"Not carried over: the devices {devices}; RDMA needs a device plugin.")
    return [*lines, *service.notes]


def claim(service: Service, mode: str) -> dict[str, Any]:
    """The claim of the cache's volume, with an access mode."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(service),
        "spec": {"accessModes": [mode], "resources": {"requests": {"storage": f"{_SPACE_GIB}Gi"}}},
    }


def metadata(service: Service) -> dict[str, Any]:
    """The name and the label of every object."""
    return {"name": service.name, "labels": {LABEL: service.name}}


def _deployment(service: Service) -> dict[str, Any]:
    labels = {LABEL: service.name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(service),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            # A second copy would find no free GPU while the first one runs.
            "strategy": {"type": "Recreate"},
            "progressDeadlineSeconds": START_SECONDS + 600,
            "template": {"metadata": {"labels": labels}, "spec": pod(service, 0, service.scripts[0])},
        },
    }


def _leader_worker_set(service: Service) -> dict[str, Any]:
    labels = {LABEL: service.name}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": metadata(service),
        "spec": {
            "replicas": 1,
            "leaderWorkerTemplate": {
                "size": len(service.ranks),
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": {
                    "metadata": {"labels": labels},
                    "spec": pod(service, 0, placed(service.scripts[0], 0)),
                },
                "workerTemplate": {"metadata": {"labels": labels}, "spec": pod(service, 1, _worker_script(service))},
            },
        },
    }


def _worker_script(service: Service) -> str:
    """The script of every worker. Raises `LaunchError` where theirs differ in more than their rank and address."""
    scripts = {placed(script, rank) for rank, script in enumerate(service.scripts) if rank}
    if len(scripts) > 1:
        raise LaunchError(
            "the commands of the workers differ from each other, which a LeaderWorkerSet cannot express",
            remedy="leave ranks and addresses to the program: no `--node-rank` in the command",
        )
    return scripts.pop()


def placed(script: str, rank: int, leader: str = LEADER_VARIABLE) -> str:
    """A script with variables in place of the plan's rank and addresses; `leader` names that of the head's address."""
    if rank:
        script = script.replace(f"{_WORKER}-{rank}", "$POD_IP")
        script = _NODE_RANK.sub(r"\1$LWS_WORKER_INDEX", script)
    script = _OWN_ADDRESS.sub(r"\1$POD_IP", script)
    return script.replace(LEADER, f"${leader}")


def pod(service: Service, rank: int, script: str, leader: str = LEADER_VARIABLE) -> dict[str, Any]:
    """The spec of the pod of a rank, which runs a script; `leader` as in `placed`."""
    spec = service.ranks[rank]
    mounts, volumes = _volumes(service, spec)
    container: dict[str, Any] = {
        "name": service.engine,
        "image": spec.image,
        "command": [*spec.entrypoint, "bash", "-c"],
        "args": [_literal(script)],
        "env": _environment(service, spec, rank, leader),
        "resources": {"limits": {"nvidia.com/gpu": service.gpus}},
        "volumeMounts": mounts,
    }
    if not spec.gpus:
        del container["resources"]
    if rank == 0:
        container["ports"] = [{"name": PORT_NAME, "containerPort": service.port}]
        ask = {"httpGet": {"path": service.health_path, "port": PORT_NAME}}
        tries = START_SECONDS // 15
        container["startupProbe"] = {**ask, "periodSeconds": 15, "timeoutSeconds": 5, "failureThreshold": tries}
        container["readinessProbe"] = {**ask, "periodSeconds": 10, "timeoutSeconds": 5}
        container["livenessProbe"] = {**ask, "periodSeconds": 30, "timeoutSeconds": 20, "failureThreshold": 6}
    security = _security(spec)
    if security:
        container["securityContext"] = security
    body: dict[str, Any] = {
        "containers": [container],
        "terminationGracePeriodSeconds": service.grace + 10,
        "volumes": volumes,
    }
    fetch = _fetch(service, mounts)
    if fetch:
        body["initContainers"] = fetch
    return body


def _environment(service: Service, spec: ContainerSpec, rank: int, leader: str) -> list[dict[str, Any]]:
    own = host_names(len(service.ranks))[rank]
    found: list[dict[str, Any]] = []
    if len(service.ranks) > 1:
        found.append({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
    for name, value in spec.env.items():
        if len(service.ranks) > 1 and value == own:
            value = "$(POD_IP)"
        elif LEADER in value:
            value = value.replace(LEADER, f"$({leader})")
        else:
            value = _literal(value)
        found.append({"name": name, "value": value})
    for name in spec.secret_env:
        found.append({"name": name, "valueFrom": {"secretKeyRef": {"name": service.name, "key": name}}})
    return found


def _literal(text: str) -> str:
    """A text in which Kubernetes replaces nothing: it replaces `$(NAME)`, and takes `$$` for one dollar sign."""
    return _REPLACED.sub("$$", text)


def _security(spec: ContainerSpec) -> dict[str, Any]:
    found: dict[str, Any] = {}
    # Without a limit on locked memory, which pods have no setting for, RDMA needs this capability.
    capabilities = list(spec.cap_add)
    if spec.devices and "IPC_LOCK" not in capabilities:
        capabilities.append("IPC_LOCK")
    if capabilities:
        found["capabilities"] = {"add": capabilities}
    if spec.privileged:
        found["privileged"] = True
    user, _, group = spec.user.partition(":")
    if user.isdecimal():
        found["runAsUser"] = int(user)
    if group.isdecimal():
        found["runAsGroup"] = int(group)
    return found


def _volumes(service: Service, spec: ContainerSpec) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The mounts of the container, and the volumes of its pod."""
    mounts: list[dict[str, Any]] = [{"name": "shm", "mountPath": "/dev/shm"}]
    volumes: list[dict[str, Any]] = [
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": str(spec.shm_size)}},
        {"name": _CACHE, "persistentVolumeClaim": {"claimName": service.name}},
    ]
    for number, mount in enumerate(spec.mounts):
        folder = _folder_in_cache(mount)
        if folder:
            mounts.append({"name": _CACHE, "mountPath": mount.target, "subPath": folder})
            continue
        name = f"host-{number}"
        if not mount.source.startswith("/"):
            raise LaunchError(
                f"the volume {mount.source} is not a folder with an absolute path, which Kubernetes asks for",
                remedy="write its whole path in the recipe",
            )
        volumes.append({"name": name, "hostPath": {"path": mount.source}})
        entry: dict[str, Any] = {"name": name, "mountPath": mount.target}
        if mount.read_only:
            entry["readOnly"] = True
        mounts.append(entry)
    return mounts, volumes


def _folder_in_cache(mount: Mount) -> str:
    """The folder of the cache's volume in place of one of the host's caches; empty for other mounts."""
    if mount.target in CACHE_TARGETS:
        return "huggingface"
    _, found, rest = mount.source.partition(_ENGINE_CACHE)
    return rest if found else ""


def _fetch(service: Service, mounts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What fetches the model before a server starts that does not fetch it by itself."""
    if service.fetches or not service.models:
        return []
    lines = ["pip install -q huggingface_hub", *map(fetch_command, service.models)]
    cache = [mount for mount in mounts if mount["name"] == _CACHE and mount["mountPath"] == CACHE_TARGETS[0]]
    env: list[dict[str, Any]] = [{"name": "HF_HOME", "value": CACHE_TARGETS[0]}]
    for name in service.secrets:
        if name.startswith("HF_"):
            env.append({"name": name, "valueFrom": {"secretKeyRef": {"name": service.name, "key": name}}})
    return [
        {
            "name": "fetch",
            "image": _GGUF_IMAGE,
            "command": ["sh", "-ec", _literal("\n".join(lines) + "\n")],
            "env": env,
            "volumeMounts": cache,
        }
    ]


def front(service: Service, selector: dict[str, str]) -> dict[str, Any]:
    """The Service before the pod that has these labels."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(service),
        "spec": {"selector": selector, "ports": [{"name": PORT_NAME, "port": service.port, "targetPort": PORT_NAME}]},
    }
