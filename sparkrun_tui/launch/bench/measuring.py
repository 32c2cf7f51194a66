"""Measures a served model: runs the client beside a tunnel to the server, and reads its progress and its report.

What the client prints is foreign: answers of the model are in it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import private_folder, read_bytes, write_private
from sparkrun_tui.base.errors import LaunchError, SparkrunError, UsageError
from sparkrun_tui.base.reading.decoded import Decoded, ShapeError, decode_json
from sparkrun_tui.base.reading.json_text import JsonError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.launch.bench import client
from sparkrun_tui.launch.bench.options import Options
from sparkrun_tui.launch.bench.result import COMPLETE, Measured, Point, Result, Spread
from sparkrun_tui.launch.bench.tunnel import tunnel
from sparkrun_tui.remote import children
from sparkrun_tui.remote.aio import closing
from sparkrun_tui.remote.hub.place import hub_folder
from sparkrun_tui.remote.hub.token import hub_token
from sparkrun_tui.remote.transport import Transport

STALL = 900.0
"""Seconds without any sign of the client after which it is ended: a long prompt alone may take minutes."""
_MOST_LINE = 1 << 20
_MOST_REPORT = 16 << 20
_TIMES = 4
"""How many times as long as the longest prompt a text is, in words: the client makes only the end of prompts unique."""
_MOST_SAID = 1 << 16
"""Bytes of the client's last words: a traceback is behind what it says of a tokenizer."""
_SPARE = 8
"""Connections beside those of the requests at once: the client looks at the list of models, too."""
_CHILD = Path(__file__).with_name("child.py")
_STOPPED = "stopped"
_NAME_IT = "Name a tokenizer with --tokenizer: a repository of the Hub, or a file tokenizer.json."


@dataclass(frozen=True, slots=True)
class Server:
    """What is measured: a server at `address:port` as its host sees it, the name of its model, and its key if any.

    `tokenizer` is the repository or the file by which tokens are counted.
    """

    transport: Transport
    address: str
    port: int
    model: str
    tokenizer: str
    key: Secret | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a benchmark is: requests that ended, of how many, and what is done now in words."""

    done: int
    total: int
    words: str
    rate: float | None = None
    """Tokens a second of the request that ended last; None before one has."""


class Measurement:
    """One run of the client against a server. Iterate over `steps`; then `result` has what was measured."""

    def __init__(self, server: Server, options: Options, measured: Measured, result_id: str) -> None:
        self._server = server
        self._options = options
        self._measured = measured
        self._id = result_id
        self.result: Result | None = None
        """What was measured until now; None when that is nothing. Also there after it was stopped."""

    async def steps(self) -> AsyncGenerator[Progress, None]:
        """Measure, telling the progress. Closing the generator stops the client, which writes down what it has.

        Raises `SparkrunError` when nothing could be measured.
        """
        if not (self._options.tokenizer or self._server.tokenizer):
            raise LaunchError(
                "the model's label names no repository, by whose tokenizer tokens are counted", remedy=_NAME_IT
            )
        home = await asyncio.to_thread(_home, self._options)
        started = time.time()
        run = _Run(self._options.requests)
        most = max(self._options.concurrency) + _SPARE
        with tempfile.TemporaryDirectory(prefix="sparkrun-tui-bench-") as folder:
            report = Path(folder) / "report.json"
            try:
                async with tunnel(self._server.transport, self._server.address, self._server.port, most) as port:
                    words = _words(self._server, self._options, f"http://127.0.0.1:{port}/v1", report)
                    async with closing(run.follow(words, self._server.key, home)) as steps:
                        async for step in steps:
                            yield step
            finally:
                self.result = self._read(report, started, run.why)
        if self.result is None:
            raise LaunchError(f"nothing was measured: {run.why or 'the client wrote no result'}", remedy=run.remedy)

    def _read(self, report: Path, started: float, why: str) -> Result | None:
        points = _points_of(report)
        if not points:
            return None
        return Result(
            id=self._id,
            started=started,
            ended=time.time(),
            client=f"{client.NAME} {client.VERSION}",
            measured=self._measured,
            points=points,
            runs=self._options.runs,
            end=why or COMPLETE,
        )


def _home(options: Options) -> Path:
    """The client's home: it keeps its text there. A text of the user's own is put where it looks for the book."""
    home = paths.cache_dir() / "bench" / "home"
    private_folder(home)
    if options.text is not None:
        try:
            text = read_bytes(options.text).decode("utf-8", "replace")
        except OSError as error:
            raise UsageError(f"{options.text} cannot be read: {error.strerror or error}") from error
        least = _TIMES * (max(options.prompt) + max(options.depth))
        if len(text.split()) < least:
            raise UsageError(
                f"{options.text} is too short: prompts begin anywhere in it, so that none is in the server's cache",
                remedy=f"Take a text of at least {least:,} words for prompts of this length.",
            )
        place = home / ".cache" / client.NAME / f"{_book_of(options.text)}.txt"
        try:
            write_private(place, text)
        except OSError as error:
            raise SparkrunError(f"{place} cannot be written: {error.strerror or error}") from error
    return home


def _book_of(text: Path) -> str:
    """The name by which the client finds a text that it would otherwise download (corpus.py: the address's MD5)."""
    import hashlib

    return hashlib.md5(_address_of(text).encode(), usedforsecurity=False).hexdigest()


def _address_of(text: Path) -> str:
    return f"file://{text.resolve()}"


def _words(server: Server, options: Options, base: str, report: Path) -> list[str]:
    """The client's arguments, without the key."""
    # Names come from labels: behind `=` none is taken for an option of the client, which has one that runs a command.
    words = ["--base-url", base, f"--model={server.model}", f"--served-model-name={server.model}"]
    words.append(f"--tokenizer={options.tokenizer or server.tokenizer}")
    lists = {"--pp": options.prompt, "--tg": options.output, "--depth": options.depth}
    for flag, numbers in {**lists, "--concurrency": options.concurrency}.items():
        words += [flag, *map(str, numbers)]
    words += ["--runs", str(options.runs), "--exact-tg", "--no-cache", "--skip-coherence"]
    words += ["--format", "json", "--save-result", str(report), "--emit-progress", "-"]
    if options.text is not None:
        words += ["--book-url", _address_of(options.text)]
    return words


class _Run:
    """One run of the client."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._failed = 0
        self._error = ""
        self._words = "starting the client"
        self._rate: float | None = None
        self.why = ""
        """Why it ended before its end; empty where it did not."""
        self.remedy = ""

    async def follow(self, words: list[str], key: Secret | None, home: Path) -> AsyncGenerator[Progress, None]:
        """Run the client to its end."""
        order = [key.reveal() if key is not None else "", *words]
        arguments = [str(client.python()), "-I", str(_CHILD)]
        process = await children.spawn(
            arguments, env=_environment(home), stdin=asyncio.subprocess.PIPE, limit=_MOST_LINE
        )
        self.why = _STOPPED
        async with children.stopping(process, signal.SIGINT):
            said = asyncio.create_task(children.last_words(process.stderr, _MOST_SAID))
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(order).encode())
            process.stdin.close()
            yield self._progress()
            while True:
                try:
                    async with asyncio.timeout(STALL):
                        line = await process.stdout.readline()
                except TimeoutError:
                    self.why = f"the client said nothing for {STALL / 60:.0f} minutes"
                    self.remedy = "Look at the log of the server."
                    said.cancel()
                    return
                except ValueError:
                    # A line beyond the limit is an answer of the model: it is no event that is read here.
                    continue
                if not line:
                    break
                if self._take(line):
                    yield self._progress()
            code = await process.wait()
            self._judge(code, (await said).decode(errors="replace"))

    def _progress(self) -> Progress:
        return Progress(self._done, self._total, self._words, self._rate)

    def _take(self, line: bytes) -> bool:
        """Read an event of the client; whether there is something new to tell."""
        try:
            event = decode_json(line)
            kind = event.at("type").text()
            if kind == "latency_measured":
                self._words = "warming up"
            elif kind == "request_start":
                self._words = _doing(event)
            elif kind == "request_end":
                self._ended(event)
            else:
                return False
        except (JsonError, ShapeError):
            return False
        return True

    def _ended(self, event: Decoded) -> None:
        self._done += 1
        error = event.at("error").text()
        if error:
            self._failed += 1
            self._error = self._error or clean_line(error)[:200]
        seconds = event.at("decode_seconds").decimal(least=0.0) or 0.0
        tokens = event.at("total_tokens").whole() or 0
        if seconds > 0 and tokens > 1:
            self._rate = (tokens - 1) / seconds

    def _judge(self, code: int, said: str) -> None:
        """Why the run is not complete, by its exit code and its last words."""
        self.why = ""
        lines = [clean_line(line).strip() for line in said.splitlines() if line.strip()]
        if self._failed:
            self.why = f"{self._failed} of {self._done} requests failed: {self._error}"
        if code != 0:
            last = lines[-1] if lines else f"exit code {code}"
            self.why = f"the client ended with an error: {clean_line(last)[:300]}"
            self.remedy = _remedy(said)


def _doing(event: Decoded) -> str:
    """What is measured now, by the beginning of a request."""
    prompt, output = event.at("prompt_size").whole() or 0, event.at("response_size").whole() or 0
    at_once, depth = event.at("concurrency").whole() or 0, event.at("context_size").whole() or 0
    words = f"prompts of {prompt:,} tokens, answers of {output:,}, {at_once} at once"
    return f"{words}, behind {depth:,} tokens" if depth else words


def _remedy(said: str) -> str:
    if "Error loading tokenizer" in said:
        return _NAME_IT
    if "downloading" in said.lower() and "book" in said:
        return "Give a text of your own with --text FILE: the client could not download its book."
    return ""


def _environment(home: Path) -> Mapping[str, str]:
    """The client's variables: a home of its own, the cache of the Hub, and no proxy in front of the tunnel."""
    kept = ("PATH", "LANG", "LC_ALL", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    found |= {"HOME": str(home), "HF_HUB_CACHE": str(hub_folder()), "HF_HUB_DISABLE_TELEMETRY": "1"}
    found |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
    token = hub_token(os.environ)
    if token is not None:
        found["HF_TOKEN"] = token.reveal()
    return found


def _points_of(report: Path) -> tuple[Point, ...]:
    """The points of the client's report; empty where it wrote none."""
    try:
        data = decode_json(read_bytes(report, _MOST_REPORT))
        return tuple(_point(run) for run in data.at("benchmarks").items())
    except (OSError, JsonError, ShapeError):
        return ()


def _point(run: Decoded) -> Point:
    at_once = run.at("concurrency").whole() or 1
    decode = _spread(run, "tg_req_throughput") or _spread(run, "tg_throughput")
    return Point(
        concurrency=at_once,
        prompt=run.at("prompt_size").whole() or 0,
        output=run.at("response_size").whole() or 0,
        depth=run.at("context_size").whole() or 0,
        first_token=_spread(run, "e2e_ttft", 1e-3),
        decode=decode,
        decode_total=_spread(run, "tg_throughput"),
        peak=_spread(run, "peak_throughput"),
        prefill=_spread(run, "pp_throughput"),
    )


def _spread(run: Decoded, name: str, unit: float = 1.0) -> Spread | None:
    """A figure of the client in our unit; None where it has none."""
    mean = run.at(name, "mean").decimal(least=0.0)
    if mean is None:
        return None
    return Spread(mean * unit, (run.at(name, "std").decimal(least=0.0) or 0.0) * unit)
