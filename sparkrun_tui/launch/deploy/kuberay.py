"""A service on a Ray cluster that KubeRay makes: a RayCluster whose head also serves.

Not a RayService: its controller waits for an application of Ray Serve and calls the service ready by that alone
(KubeRay 1.7, rayservice_controller.go, `getAndCheckServeStatus`). `vllm serve` is none, so that such a service would
never become ready.

Sources: KubeRay 1.7, ray.io/v1 RayCluster; controllers/ray/common/pod.go for the annotation by which a container keeps
its own command, for `FQ_RAY_IP`, the address of the head in every worker, and for the probes that KubeRay adds where a
container has none.
"""

from __future__ import annotations

from typing import Any

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.launch.deploy.kubernetes import LABEL, claim, front, head_lines, metadata, placed, pod
from sparkrun_tui.launch.deploy.service import Service, comments
from sparkrun_tui.launch.deploy.yaml_text import document

_HEAD_VARIABLE = "FQ_RAY_IP"
_PORT = late_regex(r"--port[ =]([0-9]{1,5})(?![0-9])")


def ray_cluster(service: Service) -> str:
    """The objects as YAML documents: a claim for the cache, the RayCluster, and a Service before its head.

    Raises `LaunchError` for a service that does not run Ray on several hosts.
    """
    starts = [line for line in service.scripts[0].split("\n") if "ray start " in line]
    found = _PORT.search(starts[0].partition("ray start ")[2]) if starts else None
    if len(service.ranks) < 2 or found is None:
        raise LaunchError(
            "the recipe does not run Ray on several hosts",
            remedy="export it with --as kubernetes, or ask for Ray: -o distributed_executor_backend=ray",
        )
    port = int(found[1])
    head = {"ray.io/cluster": service.name, "ray.io/node-type": "head"}
    objects = [claim(service, "ReadWriteMany"), _cluster(service, port), front(service, head)]
    lines = head_lines(service, "kuberay", "KubeRay (https://github.com/ray-project/kuberay)")
    lines.append("A pod that is lost does not take the others with it: delete the RayCluster's pods to start anew.")
    return comments(lines) + "---\n".join(map(document, objects))


def _cluster(service: Service, port: int) -> dict[str, Any]:
    labels = {LABEL: service.name}
    workers = len(service.ranks) - 1
    # KubeRay asks the head at this port before it starts a worker.
    start = {"port": str(port)}
    leader = pod(service, 0, placed(service.scripts[0], 0, "POD_IP"), "POD_IP")
    leader["containers"][0]["ports"].append({"name": "gcs-server", "containerPort": port})
    worker = pod(service, 1, _worker_script(service), _HEAD_VARIABLE)
    worker["containers"][0] |= _worker_probes(port)
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {**metadata(service), "annotations": {"ray.io/overwrite-container-cmd": "true"}},
        "spec": {
            "headGroupSpec": {"rayStartParams": start, "template": {"metadata": {"labels": labels}, "spec": leader}},
            "workerGroupSpecs": [
                {
                    "groupName": "workers",
                    "replicas": workers,
                    "minReplicas": workers,
                    "maxReplicas": workers,
                    "rayStartParams": {},
                    "template": {"metadata": {"labels": labels}, "spec": worker},
                }
            ],
        },
    }


def _worker_script(service: Service) -> str:
    """The script of every worker: those of Ray differ in their address alone."""
    (script,) = {placed(script, rank, _HEAD_VARIABLE) for rank, script in enumerate(service.scripts) if rank}
    return script


def _worker_probes(port: int) -> dict[str, Any]:
    """In place of KubeRay's own, which call wget: images of engines have none."""
    address = shell.joined([shell.variable(_HEAD_VARIABLE), shell.word(f":{port}")])
    ask = {
        "exec": {"command": ["bash", "-c", str(shell.script("ray health-check --address {address}", address=address))]}
    }
    return {
        "readinessProbe": {**ask, "periodSeconds": 15, "timeoutSeconds": 15},
        "livenessProbe": {**ask, "periodSeconds": 60, "timeoutSeconds": 30, "failureThreshold": 10},
    }
