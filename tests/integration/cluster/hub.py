"""A stand-in for the Hugging Face Hub, run as a program: hub.py ROOT ADDRESS PORT.

Serves ROOT/ORGANISATION/NAME/files as repositories with one commit, over what huggingface_hub and llama-server ask
for: model information, trees, refs, and files with redirects to another origin (PORT + 1), ranges and the Hub's own
headers and error codes. A file called `.gated` in a repository makes it ask for a token. POST /_fault sets a fault:
{"status": 503, "times": 2} | {"drop_after": bytes, "times": 1} | {"rate": bytes per second} | {} for none.
GET /_log lists the requests since.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

ROOT = Path()
CONTENT_PORT = 0
LARGE = 1 << 16
"""From this size on, and for weights always, a file is stored apart: the API redirects to it."""

WEIGHTS = (".safetensors", ".gguf", ".bin")
CHUNK = 1 << 16
_lock = threading.Lock()
_log: list[dict[str, Any]] = []
_faults: dict[str, Any] = {}
_known: dict[str, tuple[object, tuple[str, dict[str, dict[str, Any]]]]] = {}


def repository(name: str) -> tuple[str, dict[str, dict[str, Any]]] | None:
    """Commit and files of a repository, hashed anew when a file changed; None when there is none."""
    directory = ROOT / name
    if not directory.is_dir():
        return None
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != ".gated")
    marks = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths)
    with _lock:
        if name not in _known or _known[name][0] != marks:
            files = {str(path.relative_to(directory)): describe(path) for path in paths}
            commit = hashlib.sha1(json.dumps(files, sort_keys=True).encode()).hexdigest()
            _known[name] = (marks, (commit, files))
        return _known[name][1]


def describe(path: Path) -> dict[str, Any]:
    """Size and digests of one file, and whether it is stored apart."""
    data = path.read_bytes()
    return {
        "size": len(data),
        "oid": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "apart": len(data) >= LARGE or path.suffix in WEIGHTS,
    }


def entry(path: str, file: dict[str, Any]) -> dict[str, Any]:
    """A file as tree listings show it."""
    shown = {"type": "file", "path": path, "size": file["size"], "oid": file["oid"]}
    if file["apart"]:
        shown["lfs"] = {"oid": file["sha256"], "size": file["size"], "pointerSize": 134}
    return shown


def model_info(name: str, commit: str, files: dict[str, dict[str, Any]], blobs: bool) -> dict[str, Any]:
    """A repository as /api/models/NAME shows it."""
    siblings = []
    for path, file in files.items():
        shown: dict[str, Any] = {"rfilename": path}
        if blobs:
            shown |= {"size": file["size"], "blobId": file["oid"]}
            if file["apart"]:
                shown["lfs"] = {"sha256": file["sha256"], "size": file["size"], "pointerSize": 134}
        siblings.append(shown)
    moment = "2026-01-01T00:00:00.000Z"
    return {
        "_id": commit[:24], "id": name, "modelId": name, "author": name.split("/")[0], "sha": commit,
        "private": False, "gated": "manual" if (ROOT / name / ".gated").exists() else False, "disabled": False,
        "downloads": 1, "likes": 0, "tags": [], "pipeline_tag": "text-generation", "library_name": "transformers",
        "createdAt": moment, "lastModified": moment, "siblings": siblings,
        "usedStorage": sum(file["size"] for file in files.values()),
    }  # fmt: skip


def take_fault(name: str) -> Any:
    """The value of a fault that strikes now, counting it down; None when it does not."""
    with _lock:
        if name not in _faults or _faults.get("times", 1) <= 0:
            return None
        _faults["times"] = _faults.get("times", 1) - 1
        return _faults[name]


class Handler(BaseHTTPRequestHandler):
    """One request to the API or for a file's content."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal: requests are kept for /_log."""

    def do_HEAD(self) -> None:
        """As GET, without a body."""
        self.do_GET()

    def do_POST(self) -> None:
        """Faults, and information about named paths."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        if path == "/_fault":
            with _lock:
                _faults.clear()
                _faults.update(json.loads(body))
                _log.clear()
            return self.answer(200, {})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/paths-info/[^/]+", path):
            found = repository(match[1])
            if found is None:
                return self.missing_repository()
            try:
                wanted = json.loads(body)["paths"]
            except ValueError:
                wanted = parse_qs(body.decode())["paths"]
            return self.answer(200, [entry(name, file) for name, file in found[1].items() if name in wanted])
        return self.answer(404, {"error": "no such route"})

    def do_GET(self) -> None:
        """The API, files, contents."""
        url = urlsplit(self.path)
        path, query = unquote(url.path), parse_qs(url.query)
        if path == "/_log":
            return self.answer(200, list(_log))
        if status := take_fault("status"):
            return self.answer(status, {"error": "out of order"}, {"Retry-After": "1"})
        if path == "/api/models":
            return self.search((query.get("search") or [""])[0].lower())
        if match := re.fullmatch(r"/content/([0-9a-f]{64})/([^/]+/[^/]+)/(.+)", path):
            return self.content(ROOT / match[2] / match[3], {"ETag": f'"{match[1]}"'})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree|refs)(?:/([^/]+))?)?(?:/(.*))?", path):
            return self.api(match[1], match[2] or "", match[3], match[4] or "", bool(query.get("blobs")))
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self.file(match[1], match[2], match[3])
        return self.answer(404, {"error": "no such route"})

    def search(self, words: str) -> None:
        """Repositories whose name holds `words`."""
        names = sorted(f"{path.parent.name}/{path.name}" for path in ROOT.glob("*/*") if path.is_dir())
        self.answer(200, [{"id": name, "modelId": name, "tags": []} for name in names if words in name.lower()])

    def api(self, name: str, kind: str, revision: str | None, below: str, blobs: bool) -> None:
        """Model information, a tree, or the list of branches."""
        found = repository(name)
        if found is None:
            return self.missing_repository()
        commit, files = found
        if revision and revision not in ("main", commit):
            return self.problem(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if kind == "refs":
            branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": commit}
            return self.answer(200, {"branches": [branch], "tags": [], "converts": []})
        if kind == "tree":
            if self.is_closed(name):
                return self.gated(name)
            listed = [entry(path, file) for path, file in files.items() if not below or path.startswith(below + "/")]
            return self.answer(200, listed)
        return self.answer(200, model_info(name, commit, files, blobs))

    def file(self, name: str, revision: str, path: str) -> None:
        """A file: its content, or where that is."""
        found = repository(name)
        if found is None:
            return self.missing_repository()
        commit, files = found
        if revision not in ("main", commit):
            return self.problem(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if self.is_closed(name):
            return self.gated(name)
        if path not in files:
            return self.problem(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        file = files[path]
        if not file["apart"]:
            return self.content(ROOT / name / path, {"ETag": f'"{file["oid"]}"', "X-Repo-Commit": commit})
        address = str(self.headers["Host"]).rpartition(":")[0]
        headers = {
            "Location": f"http://{address}:{CONTENT_PORT}/content/{file['sha256']}/{name}/{path}",
            "X-Repo-Commit": commit,
            "X-Linked-Size": str(file["size"]),
            "X-Linked-ETag": f'"{file["sha256"]}"',
            "ETag": f'"{file["oid"]}"',
            "Accept-Ranges": "bytes",
        }
        return self.answer(302, b"", headers)

    def is_closed(self, name: str) -> bool:
        """Whether the repository asks for a token and none was sent."""
        return (ROOT / name / ".gated").exists() and not self.headers.get("Authorization")

    def gated(self, name: str) -> None:
        """The answer for somebody without access."""
        self.problem(403, "GatedRepo", f"Access to model {name} is restricted and you are not in the authorized list.")

    def missing_repository(self) -> None:
        """The answer for a repository that does not exist, which might as well be a private one."""
        self.problem(401, "RepoNotFound", "Repository not found")

    def problem(self, status: int, code: str, text: str, headers: dict[str, str] | None = None) -> None:
        """An error as the Hub's clients read it."""
        self.answer(status, {"error": text}, {"X-Error-Code": code, "X-Error-Message": text} | (headers or {}))

    def answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        """A whole answer; anything but bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.begin(status, {"Content-Type": "application/json", "Content-Length": str(len(data))} | (headers or {}))
        if self.command != "HEAD":
            self.wfile.write(data)

    def begin(self, status: int, headers: dict[str, str]) -> None:
        """Status line and headers; noted for /_log, without anything secret."""
        url = urlsplit(self.path)
        if not url.path.startswith("/_"):
            noted = {"method": self.command, "path": url.path, "status": status, "range": self.headers.get("Range")}
            _log.append(noted | {"token": bool(self.headers.get("Authorization"))})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def content(self, path: Path, headers: dict[str, str]) -> None:
        """A file or the range of it that was asked for, as slowly and as completely as the faults say."""
        if not path.is_file():
            return self.answer(404, {"error": "no such content"})
        data = path.read_bytes()
        first, last, status = 0, len(data) - 1, 200
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            first, last, status = int(match[1]), min(int(match[2] or last), last), 206
            headers = headers | {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
            if first > last:
                return self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        part = data[first : last + 1]
        kind = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        self.begin(status, kind | {"Content-Length": str(len(part))} | headers)
        if self.command != "HEAD":
            self.send_slowly(part)
        return None

    def send_slowly(self, data: bytes) -> None:
        """Write `data`, held to the rate and cut short where a fault says so."""
        drop = take_fault("drop_after")
        for start in range(0, len(data), CHUNK):
            chunk = data[start : start + CHUNK]
            self.wfile.write(chunk)
            if rate := _faults.get("rate"):
                time.sleep(len(chunk) / rate)
            if drop is not None and start + len(chunk) >= drop:
                self.close_connection = True
                self.connection.shutdown(2)
                return


class Server(ThreadingHTTPServer):
    """A server whose threads do not keep the program alive."""

    daemon_threads = True
    request_queue_size = 64


def main() -> None:
    """Serve the API and the contents until killed."""
    global ROOT, CONTENT_PORT
    ROOT = Path(sys.argv[1])
    address, port = sys.argv[2], int(sys.argv[3])
    CONTENT_PORT = port + 1
    threading.Thread(target=Server((address, CONTENT_PORT), Handler).serve_forever, daemon=True).start()
    Server((address, port), Handler).serve_forever()


if __name__ == "__main__":
    main()
