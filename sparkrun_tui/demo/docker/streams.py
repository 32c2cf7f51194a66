"""The streamed answers of a simulated Docker: pulls, logs and events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from sparkrun_tui.demo.container import Container, Entry
from sparkrun_tui.demo.docker import objects as docker_json
from sparkrun_tui.demo.host import IMAGE_SIZE, Host
from sparkrun_tui.demo.http import Reply, Request
from sparkrun_tui.remote.docker.logs import nanoseconds

PULL_SECONDS = 7.0
_STEPS = 56
_SHARES = (0.002, 0.31, 0.005, 0.36, 0.08, 0.001, 0.21, 0.032)
"""The shares of the layers in the bytes of a pull."""


async def pull(host: Host, request: Request, reply: Reply) -> None:
    """Pull an image, layer by layer, by the demo's clock."""
    reference = image_name(request.query.get("fromImage", ""), request.query.get("tag", ""))
    await reply.begin("application/json")
    await _message(
        reply, {"status": f"Pulling from {request.query.get('fromImage', '')}", "id": request.query.get("tag", "")}
    )
    if reference not in host.images:
        layers = _layers(reference)
        for identity, _ in layers:
            await _message(reply, {"status": "Pulling fs layer", "progressDetail": {}, "id": identity})
        for step in range(1, _STEPS + 1):
            await host.clock.sleep(PULL_SECONDS / _STEPS)
            for message in _progress(layers, (step - 1) / _STEPS, step / _STEPS):
                await _message(reply, message)
        for identity, _ in layers:
            await _message(reply, {"status": "Pull complete", "progressDetail": {}, "id": identity})
        host.images.add(reference)
    await _message(reply, {"status": f"Status: Downloaded newer image for {reference}"})
    await reply.end()


def image_name(repository: str, tag: str) -> str:
    """A repository and its tag or digest as one reference."""
    if not tag:
        return repository
    return f"{repository}@{tag}" if ":" in tag else f"{repository}:{tag}"


def _layers(reference: str) -> list[tuple[str, int]]:
    digest = hashlib.sha256(reference.encode()).hexdigest()
    return [(digest[number * 7 : number * 7 + 12], int(share * IMAGE_SIZE)) for number, share in enumerate(_SHARES)]


def _progress(layers: Sequence[tuple[str, int]], before: float, now: float) -> Iterator[dict[str, Any]]:
    """The messages of one step: layers arrive in parallel, small ones are complete sooner."""
    for number, (identity, size) in enumerate(layers):
        length = 0.35 + 0.65 * min(size / (0.36 * IMAGE_SIZE), 1.0)
        begin = min(number * 0.03, 1 - length)
        earlier, later = ((moment - begin) / length for moment in (before, now))
        if earlier >= 1 or later <= 0:
            continue
        if later >= 1:
            yield {"status": "Download complete", "progressDetail": {}, "id": identity}
        else:
            detail = {"current": int(size * later), "total": size}
            yield {"status": "Downloading", "progressDetail": detail, "id": identity}


async def _message(reply: Reply, message: dict[str, Any]) -> None:
    await reply.piece(json.dumps(message).encode() + b"\r\n")


def frame(stream: str, data: bytes) -> bytes:
    """Bytes of `stdout` or `stderr` with Docker's header, which names the stream."""
    return bytes([2 if stream == "stderr" else 1, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


async def logs(container: Container, request: Request, reply: Reply) -> None:
    """Send a container's log; with `follow` also new lines while it runs."""
    stamps, follow = request.flag("timestamps"), request.flag("follow")
    since = _since(request.query.get("since", ""))
    entries = [entry for entry in container.log if entry.stamp >= since]
    tail = request.query.get("tail", "")
    if tail.isdecimal() and int(tail) < len(entries):
        entries = entries[len(entries) - int(tail) :]
    at = len(container.log)
    await reply.begin("application/vnd.docker.multiplexed-stream")
    await reply.piece(b"".join(_framed(entry, stamps) for entry in entries))
    while follow:
        change = container.news.next()
        new, at = container.log[at:], len(container.log)
        if new:
            await reply.piece(b"".join(_framed(entry, stamps) for entry in new))
        elif not container.running:
            break
        else:
            await change.wait()
    await reply.end()


def _framed(entry: Entry, stamps: bool) -> bytes:
    data = entry.data
    if stamps:
        data = f"{docker_json.stamp_ns(entry.stamp)} ".encode() + data
    return frame(entry.stream, data)


def _since(text: str) -> int:
    if "T" in text:
        return nanoseconds(text.encode()) or 0
    whole, _, part = text.partition(".")
    return int(whole or 0) * 10**9 + int(part.ljust(9, "0")[:9] or 0)


async def events(host: Host, labels: Sequence[str], request: Request, reply: Reply) -> None:
    """Send the events of containers with these labels, without end."""
    since = _since(request.query.get("since", ""))
    at = 0 if since else len(host.happenings)
    await reply.begin("application/json")
    while True:
        change = host.news.next()
        for happening in host.happenings[at:]:
            if happening.time * 1e9 >= since and happening.container.matches(labels):
                await reply.piece(json.dumps(docker_json.event(happening)).encode() + b"\n")
        at = len(host.happenings)
        await change.wait()
