#!/usr/bin/env bash
# httpx 0.28.1 takes a network in NO_PROXY (10.0.0.0/8) for the one address that is written in it.
#
# Why it matters: a workstation behind a proxy names the network of its GPU hosts in NO_PROXY. requests 2.34.2 and
# httpx2 2.16.2 then go to the hosts directly. httpx accepts the entry without a word and asks the proxy for every host of
# that network but the one whose address is the network's own.
#
# Seen on Python 3.11 with NO_PROXY=127.0.0.0/8, a proxy on 127.0.0.1 and a server on 127.0.0.2:
#   httpx 0.28.1     by the proxy
#   httpx2 2.16.2    directly
#   requests 2.34.2  directly
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
"${SPARKRUN_PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1 httpx2==2.16.2 requests==2.34.2

env -u HTTPS_PROXY -u https_proxy -u ALL_PROXY -u all_proxy "$folder/venv/bin/python" - <<'PYTHON'
import http.server
import os
import threading

import httpx
import httpx2
import requests

asked = []


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        # A client that takes this server for a proxy asks it for a whole address.
        asked.append("by the proxy" if self.path.startswith("http:") else "directly")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


def serve(address):
    server = http.server.ThreadingHTTPServer((address, 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


proxy = f"http://127.0.0.1:{serve('127.0.0.1')}"
host = f"http://127.0.0.2:{serve('127.0.0.2')}/v1/models"
os.environ.update(HTTP_PROXY=proxy, http_proxy=proxy, NO_PROXY="127.0.0.0/8", no_proxy="127.0.0.0/8")

for library in (httpx, httpx2, requests):
    library.get(host)
    print(f"{library.__name__} {library.__version__}: {asked[-1]}")

assert asked == ["by the proxy", "directly", "directly"], asked
PYTHON
