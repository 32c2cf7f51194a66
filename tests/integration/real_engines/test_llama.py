"""The real llama-server with a projector of images, launched from the command line and shown a picture."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

from cluster import Host
from fetching import ask
from real_engines.story import Run, launch


def test_a_model_that_sees(hosts: list[Host], sparkrun: Run, recipes: Path) -> None:
    head = hosts[0]
    story = launch(sparkrun, recipes / "vision.yaml", [head], "--solo")
    endpoint = story.endpoint()
    assert (endpoint["url"], endpoint["model"]) == (f"http://{head.ip}:8000/v1", "tiny")
    assert endpoint["offers"] in ("completion", "chat")
    assert story.phases(head)["ready"] == "ok"

    _, props = ask(head, "/props")
    assert props["modalities"]["vision"] is True
    words = question("What is in this picture?")
    status, answer = ask(head, "/v1/chat/completions", words)
    assert (status, answer["choices"][0]["message"]["role"]) == (200, "assistant")
    seen = question("What is in this picture?", red_square())
    status, of_picture = ask(head, "/v1/chat/completions", seen)
    assert status == 200
    # The picture becomes one token for each of its patches.
    assert of_picture["usage"]["prompt_tokens"] - answer["usage"]["prompt_tokens"] >= 16

    assert story.ask().strip()
    assert (story.workload()["health"], story.workload()["engine"]) == ("serving", "llama-cpp")
    assert "loaded multimodal model" in story.logs()
    story.stop()


def test_a_model_that_is_not_to_see(hosts: list[Host], sparkrun: Run, recipes: Path) -> None:
    """Without its projector, which then is not fetched either."""
    head = hosts[0]
    story = launch(sparkrun, recipes / "vision.yaml", [head], "--solo", "-o", "mmproj=none")
    _, props = ask(head, "/props")
    assert props["modalities"]["vision"] is False
    assert head.run("find /root/.cache/huggingface -name '*mmproj*'") == ""
    assert story.ask().strip()
    story.stop()


def question(text: str, picture: bytes = b"") -> dict[str, object]:
    """A request of a chat, with a picture where one is given."""
    content: list[dict[str, object]] = [{"type": "text", "text": text}]
    if picture:
        address = "data:image/png;base64," + base64.b64encode(picture).decode()
        content.append({"type": "image_url", "image_url": {"url": address}})
    return {"model": "tiny", "messages": [{"role": "user", "content": content}], "max_tokens": 4}


def red_square(side: int = 16) -> bytes:
    """A picture as a PNG file."""
    rows = (b"\0" + b"\xc0\x20\x20" * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = {b"IHDR": header, b"IDAT": zlib.compress(rows), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts.items())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
