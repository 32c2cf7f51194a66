"""A registry that fails: failing_registry.py PORT UPSTREAM STATUS MENDED.

It answers requests for a manifest with STATUS until the file MENDED exists, and passes all others on to the registry
UPSTREAM. Each request for a manifest is a line on its output. Run on a host, at 127.0.0.1, where Docker asks for no
certificate.
"""

from __future__ import annotations

import http.client
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, UPSTREAM, STATUS, MENDED = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
_CODES = {401: "UNAUTHORIZED", 404: "MANIFEST_UNKNOWN", 429: "TOOMANYREQUESTS"}


class Handler(BaseHTTPRequestHandler):
    """Fails or passes on."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Manifests and blobs."""
        if "/manifests/" in self.path:
            print(self.command, self.path, flush=True)
            if not MENDED.exists():
                error = {"code": _CODES.get(STATUS, "UNKNOWN"), "message": "as the test wants it"}
                self._answer(STATUS, {"Content-Type": "application/json"}, json.dumps({"errors": [error]}).encode())
                return
        upstream = http.client.HTTPConnection(UPSTREAM, timeout=30)
        upstream.request(
            self.command, self.path, headers={"Accept": ", ".join(self.headers.get_all("Accept", ["*/*"]))}
        )
        response = upstream.getresponse()
        names = ("Content-Type", "Docker-Content-Digest", "Docker-Distribution-Api-Version", "Content-Length")
        headers = {name: value for name in names if (value := response.getheader(name))}
        self._answer(response.status, headers, response.read())

    do_HEAD = do_GET

    def parse_request(self) -> bool:
        """Docker asks with TLS first: it is to see that this is HTTP, from an answer with a status."""
        if self.raw_requestline.startswith(b"\x16"):
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            self.close_connection = True
            return False
        return super().parse_request()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are told by us."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
