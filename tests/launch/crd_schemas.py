"""What a LeaderWorkerSet and a RayCluster may hold around their pods, which `kubernetes-validate` reads.

Written after the CRDs of LeaderWorkerSet (kubernetes-sigs/lws 060ab4da, August 2026,
leaderworkerset.x-k8s.io_leaderworkersets.yaml, v1) and of KubeRay (ray-project/kuberay feeaf72f, August 2026,
ray.io_rayclusters.yaml, v1): field names, types and what is required; what this program never writes is left out.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "format": "int32", "minimum": 0}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_TEMPLATE: dict[str, Any] = {"type": "object", "required": ["spec"], "properties": {"metadata": {}, "spec": {}}}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def _resource(api: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = _closed(["name"], name=_TEXT, labels=_TEXTS, annotations=_TEXTS)
    names = {"apiVersion": {"const": api}, "kind": {"const": kind}}
    return _closed(["apiVersion", "kind", "metadata", "spec"], **names, metadata=metadata, spec=spec)


LEADER_WORKER_SET = _resource(
    "leaderworkerset.x-k8s.io/v1",
    "LeaderWorkerSet",
    _closed(
        ["leaderWorkerTemplate"],
        replicas=_COUNT,
        startupPolicy={"enum": ["LeaderCreated", "LeaderReady"]},
        leaderWorkerTemplate=_closed(
            ["workerTemplate"],
            size=_COUNT,
            restartPolicy={"enum": ["Default", "RecreateGroupOnPodRestart", "None", "RecreateGroupAfterStart"]},
            leaderTemplate=_TEMPLATE,
            workerTemplate=_TEMPLATE,
        ),
    ),
)
RAY_CLUSTER = _resource(
    "ray.io/v1",
    "RayCluster",
    _closed(
        ["headGroupSpec"],
        headGroupSpec=_closed(["template"], rayStartParams=_TEXTS, template=_TEMPLATE),
        workerGroupSpecs={
            "type": "array",
            "items": _closed(
                ["groupName", "maxReplicas", "minReplicas", "template"],
                groupName=_TEXT,
                replicas=_COUNT,
                minReplicas=_COUNT,
                maxReplicas=_COUNT,
                rayStartParams=_TEXTS,
                template=_TEMPLATE,
            ),
        },
    ),
)
SCHEMAS = {"LeaderWorkerSet": LEADER_WORKER_SET, "RayCluster": RAY_CLUSTER}
