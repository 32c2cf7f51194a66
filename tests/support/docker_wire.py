"""How a pretended Docker daemon reads requests and writes answers: HTTP bodies, chunks and frames."""

from __future__ import annotations

import asyncio
import json


class Reply:
    """One answer on a connection."""

    def __init__(self, writer: asyncio.StreamWriter, api: str) -> None:
        self._writer = writer
        self._api = api

    async def json(self, data: object, status: int = 200) -> None:
        await self._whole(status, json.dumps(data).encode() if data is not None else b"")

    async def error(self, status: int, message: str) -> None:
        await self.json({"message": message}, status)

    async def empty(self, status: int) -> None:
        await self._whole(status, b"")

    async def begin(self) -> None:
        self._writer.write(
            f"HTTP/1.1 200 OK\r\nApi-Version: {self._api}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        await self._writer.drain()

    async def send(self, data: bytes) -> None:
        if data:
            self._writer.write(b"%x\r\n" % len(data) + data + b"\r\n")
            await self._writer.drain()

    async def finish(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def raw(self, data: bytes) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: close\r\n\r\n"
        self._writer.write(head.encode() + data)
        await self._writer.drain()

    async def _whole(self, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} X\r\nApi-Version: {self._api}\r\nContent-Length: {len(body)}\r\n\r\n"
        if status in (204, 304):
            head = f"HTTP/1.1 {status} X\r\nApi-Version: {self._api}\r\n\r\n"
        self._writer.write(head.encode() + body)
        await self._writer.drain()


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        data = b""
        while size := int(await reader.readline(), 16):
            data += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return data
    return await reader.readexactly(int(headers.get("content-length", "0")))


def framed(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data if data else b""
