"""Pushes images into the cluster's registry over its HTTP API, so that no image is ever built by a dockerd of ours."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cluster.layers import Layer
from cluster.spec import REGISTRY

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Image:
    """An image to push: `name` and `tag` as a recipe writes them, without a registry."""

    name: str
    tag: str
    layers: tuple[Layer, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """`name:tag`, which Docker looks for on Docker Hub and finds in our mirror."""
        return f"{self.name}:{self.tag}"

    def config(self) -> bytes:
        """The image's configuration document."""
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"} | dict(self.environment)
        machine = os.uname().machine
        document = {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": {
                "Env": [f"{name}={value}" for name, value in environment.items()],
                "Cmd": list(self.command) or None,
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in self.layers]},
        }
        return json.dumps(document, sort_keys=True).encode()


class Registry:
    """The registry at `address`; the caller must have joined the cluster's network."""

    def __init__(self, address: str = REGISTRY) -> None:
        self.address = address

    def wait_until_up(self, seconds: float = 20.0) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if self._ask("GET", "/v2/")[0] == 200:
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"no registry at {self.address}")
            time.sleep(0.05)

    def push(self, image: Image) -> str:
        """Push what is not there yet; returns the digest of the manifest."""
        config = image.config()
        for layer in image.layers:
            self._push_blob(image.name, layer.digest, Path(layer.path))
        config_digest = _digest(config)
        self._push_blob(image.name, config_digest, config)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": len(config), "digest": config_digest},
            "layers": [{"mediaType": LAYER, "size": layer.size, "digest": layer.digest} for layer in image.layers],
        }
        body = json.dumps(manifest).encode()
        path = f"/v2/{image.name}/manifests/{image.tag}"
        self._expect(201, "PUT", path, body, {"Content-Type": MANIFEST})
        return _digest(body)

    def delete(self, image: Image, digest: str) -> None:
        """Take a manifest away again: pulls of it fail as for an image that does not exist."""
        self._expect(202, "DELETE", f"/v2/{image.name}/manifests/{digest}")

    def catalog(self, seconds: float = 5.0) -> Sequence[str]:
        """Names of the repositories that it holds."""
        del seconds
        names: list[str] = json.loads(self._expect(200, "GET", "/v2/_catalog")[1])["repositories"]
        return names

    def _push_blob(self, name: str, digest: str, data: bytes | Path) -> None:
        if self._ask("HEAD", f"/v2/{name}/blobs/{digest}")[0] == 200:
            return
        headers, _ = self._expect(202, "POST", f"/v2/{name}/blobs/uploads/")
        where = urlsplit(headers["location"])
        separator = "&" if where.query else ""
        path = f"{where.path}?{where.query}{separator}digest={digest}"
        self._expect(201, "PUT", path, data, {"Content-Type": "application/octet-stream"})

    def _expect(
        self, status: int, method: str, path: str, body: bytes | Path = b"", headers: Mapping[str, str] = {}
    ) -> tuple[Mapping[str, str], bytes]:
        got, answer_headers, answer = self._ask(method, path, body, headers)
        if got != status:
            raise RuntimeError(f"registry: {method} {path} -> {got}: {answer[:300]!r}")
        return answer_headers, answer

    def _ask(
        self, method: str, path: str, body: bytes | Path = b"", headers: Mapping[str, str] = {}
    ) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            if isinstance(body, Path):
                with open(body, "rb") as file:
                    size = {"Content-Length": str(body.stat().st_size)}
                    connection.request(method, path, file, {**headers, **size})
                    answer = connection.getresponse()
            else:
                connection.request(method, path, body, dict(headers))
                answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
