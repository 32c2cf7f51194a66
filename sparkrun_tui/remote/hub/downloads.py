"""Gets models onto the workstation: sizes first, then a download in a child process, watched and stoppable."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from sparkrun_tui.base.disk.memory_limit import half_of_memory
from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.make_room import room_for_models
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.reading.decoded import Decoded, decode_json
from sparkrun_tui.base.reading.identifiers import Commit
from sparkrun_tui.base.reading.json_text import JsonError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.remote import children
from sparkrun_tui.remote.hub import cache as hub_cache
from sparkrun_tui.remote.hub.place import hub_folder
from sparkrun_tui.remote.meter import Meter
from sparkrun_tui.remote.ports.models import ModelFile, ModelPlan, ModelRequest, StoredModel, Transfer

MOST_FILES = 100_000
"""Files that a repository may have: the Hub itself recommends no more."""
STALL = 120.0
"""Seconds without a new byte after which a download is started again."""
_TRIES = 5
_MOST_LINE = 8 << 20
"""Bytes of one message of the worker, which is parsed where the app waits; that about 100,000 files has as many."""
_SLACK = 1 << 30
"""Bytes by which a download may outgrow what was announced: another one may go on in the same folder."""
_SITE = "https://huggingface.co"
_PASSING = ("other", "limited", "stalled", "dropped")


@dataclass(frozen=True, slots=True)
class Choice:
    """The files wanted of a repository, and the one to open when it is a GGUF."""

    files: tuple[str, ...]
    entry: str = ""


Chooser = Callable[[Sequence[str], ModelRequest], Choice]
"""Picks the files of a GGUF quantisation from a repository's names; raises `SparkrunError` when there are none."""


class HubError(SparkrunError):
    """The Hub refused or could not be reached; `kind` says which (`gated`, `missing`, `offline`, ...)."""

    def __init__(self, what: str, *, kind: str, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.kind = kind

    @property
    def unreached(self) -> bool:
        """Whether the Hub gave no answer about the model, so that only the caches can be used."""
        return self.kind == "offline" or self.kind in _PASSING


class HubSource:
    """A `ModelSource` over huggingface_hub. `choose` picks the files where a GGUF quantisation is asked for.

    A download that takes more than `memory` bytes (by default half of this machine's) is ended.
    """

    def __init__(
        self,
        choose: Chooser,
        *,
        hub: Path | None = None,
        endpoint: str = "",
        stall: float = STALL,
        memory: int | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._choose = choose
        self._hub = hub
        self._endpoint = endpoint
        self._stall = stall
        self._memory = memory or half_of_memory()
        self._sleep = sleep

    @property
    def hub(self) -> Path:
        """The folder that holds `models--…`."""
        return self._hub or hub_folder()

    async def plan(self, request: ModelRequest, token: Secret | None = None) -> ModelPlan:
        """Sizes first; see `ModelSource.plan`. Raises `HubError`."""
        plan, _ = await self._plan(request, token)
        return plan

    async def stored(self, request: ModelRequest) -> StoredModel | None:
        """The model when the cache holds it whole, without asking the Hub; see `ModelSource.stored`."""
        return await asyncio.to_thread(self._stored, request)

    async def fetch(
        self, request: ModelRequest, token: Secret | None = None
    ) -> AsyncGenerator[Transfer | StoredModel, None]:
        """Download what is missing; see `ModelSource.fetch`. Raises `HubError`."""
        plan, choice = await self._plan(request, token)
        meter = Meter()
        yield meter.transfer(plan.size - plan.missing, plan.size)
        if plan.missing or self._unlinked(plan, request):
            async with aclosing(self._download(plan, request, token, meter)) as moving:
                async for moved in moving:
                    yield moved
        model = self._model(request, plan.commit, plan.files, choice)
        here = await asyncio.to_thread(self._sizes, model.repo, model.commit)
        for file in model.files:
            if here.get(file.name) != file.size:
                raise HubError(f"{file.name} of {model.repo} is not whole after the download", kind="other")
        yield meter.transfer(model.size, model.size)
        yield model

    def _unlinked(self, plan: ModelPlan, request: ModelRequest) -> bool:
        """Whether all files are there, but the revision's name does not point at them yet."""
        return hub_cache.commit_of(self.hub, request.repo, request.revision) != plan.commit

    async def _plan(self, request: ModelRequest, token: Secret | None) -> tuple[ModelPlan, Choice]:
        order = {"op": "list", "repo": request.repo, "revision": request.revision, "endpoint": self._endpoint}
        for attempt in range(1, _TRIES + 1):
            try:
                async with aclosing(self._messages(order, token, {})) as messages:
                    # The worker sends either a list or an error, which is raised.
                    listing = [message async for message in messages][-1]
                break
            except HubError as error:
                if error.kind not in _PASSING or attempt == _TRIES:
                    raise
                await self._sleep(2.0**attempt)
        # A thread: a mirror may list 100,000 files, and the app has its turns meanwhile.
        return await asyncio.to_thread(self._planned, listing, request)

    def _planned(self, listing: Decoded, request: ModelRequest) -> tuple[ModelPlan, Choice]:
        """The plan by what the Hub lists. Raises `HubError`, and what choosing raises."""
        commit, sizes = _listed(listing, request.repo)
        choice = self._chosen(tuple(sizes), request)
        if not choice.files:
            raise HubError(f"{request.repo} has no files that match {', '.join(request.patterns)}", kind="entry")
        here = self._sizes(request.repo, commit)
        files = tuple(ModelFile(name, sizes[name], here.get(name) == sizes[name]) for name in choice.files)
        return ModelPlan(request.repo, commit, files), choice

    def _sizes(self, repo: str, commit: str) -> dict[str, int]:
        """The bytes of the files of a snapshot that are here, by name.

        The cache is walked: to look up each name that the Hub lists, however deep, would take the longer the more it
        lists.
        """
        return {file.name: file.size for file in hub_cache.files_in(self.hub, repo, commit)}

    def _chosen(self, names: Sequence[str], request: ModelRequest) -> Choice:
        if request.gguf_quant:
            return self._choose(names, request)
        return Choice(hub_cache.by_patterns(names, request.patterns))

    def _stored(self, request: ModelRequest) -> StoredModel | None:
        commit = hub_cache.commit_of(self.hub, request.repo, request.revision)
        if commit is None:
            return None
        files = {file.name: file for file in hub_cache.files_in(self.hub, request.repo, commit)}
        if not files:
            return None
        try:
            choice = self._chosen(tuple(files), request)
        except SparkrunError:
            return None
        chosen = [files[name] for name in choice.files]
        if not hub_cache.looks_whole(self.hub, request.repo, commit, chosen):
            return None
        return self._model(request, commit, chosen, choice)

    def _model(self, request: ModelRequest, commit: Commit, files: Sequence[ModelFile], choice: Choice) -> StoredModel:
        whole = tuple(ModelFile(file.name, file.size, cached=True) for file in files)
        ref = request.revision or "main"
        if ref == commit:
            ref = ""
        return StoredModel(request.repo, commit, str(self.hub), whole, choice.entry, ref)

    async def _download(
        self, plan: ModelPlan, request: ModelRequest, token: Secret | None, meter: Meter
    ) -> AsyncGenerator[Transfer, None]:
        order = {
            "op": "fetch",
            "repo": request.repo,
            "revision": request.revision,
            "commit": plan.commit,
            "endpoint": self._endpoint,
            "hub": str(self.hub),
            "memory": self._memory,
            "files": {file.name: file.size for file in plan.files},
        }
        have = plan.size - plan.missing
        stalls = failures = 0
        while True:
            # A second stall may come from the client of the chunk store, which is then left out.
            extra = {}
            if stalls > 1:
                extra = {"HF_HUB_DISABLE_XET": "1"}
            base = await asyncio.to_thread(self._arrived, plan)
            moved = 0
            try:
                async with aclosing(self._messages(order, token, extra)) as messages:
                    async for message in messages:
                        kind = message.at("kind").text()
                        if kind == "progress":
                            moved = max(moved, message.at("done").whole() or 0)
                            if moved > plan.size + _SLACK:
                                # Ending the worker ends the download, before the disk is full.
                                raise HubError(f"the Hub sends more than {plan.repo} is said to have", kind="large")
                            yield meter.transfer(min(max(base + moved, have), plan.size), plan.size)
                        elif kind == "waiting":
                            yield Transfer(have, plan.size, None, "another download of this model is going on")
                return
            except HubError as error:
                if error.kind == "stalled":
                    stalls += 1
                if moved:
                    failures = 0
                failures += 1
                # The Hub has just sent the list of files, so one that cannot be reached now is expected back.
                if error.kind not in (*_PASSING, "offline") or failures >= _TRIES:
                    raise
                yield Transfer(min(base + moved, plan.size), plan.size, None, f"trying again: {error.what}")
            await self._sleep(min(2.0**failures, 30.0))

    def _arrived(self, plan: ModelPlan) -> int:
        here = self._sizes(plan.repo, plan.commit)
        return sum(file.size for file in plan.files if here.get(file.name) == file.size)

    async def _messages(
        self, order: Mapping[str, Any], token: Secret | None, extra: Mapping[str, str]
    ) -> AsyncGenerator[Decoded, None]:
        """Run the worker and yield its messages. Raises `HubError` when it reports an error, stalls or dies."""
        env = {**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", **extra}
        if token is not None:
            env["HF_TOKEN"] = token.reveal()
        words = [sys.executable, "-P", "-m", "sparkrun_tui.remote.hub.worker"]
        process = await children.spawn(words, env=env, stdin=asyncio.subprocess.PIPE, limit=_MOST_LINE)
        async with children.stopping(process, signal.SIGINT):
            assert process.stdin is not None and process.stdout is not None
            errors = asyncio.create_task(children.last_words(process.stderr))
            process.stdin.write(json.dumps(order).encode())
            process.stdin.close()
            ended = False
            async for message in self._watched(process.stdout):
                kind = message.at("kind").text()
                if kind == "error":
                    raise explain(message, str(order["repo"]), str(order.get("revision") or ""))
                ended = kind in ("listing", "fetched")
                yield message
            if not ended:
                said = clean_line((await errors).decode(errors="replace").strip().rpartition("\n")[2])
                raise HubError(f"the download process died: {said or 'it printed no message'}", kind="other")

    async def _watched(self, stdout: asyncio.StreamReader) -> AsyncIterator[Decoded]:
        """The worker's lines, as long as something moves."""
        loop = asyncio.get_running_loop()
        moved_at, done = loop.time(), -1
        while True:
            try:
                async with asyncio.timeout_at(moved_at + self._stall):
                    line = await stdout.readline()
            except TimeoutError as error:
                raise HubError(f"nothing came for {self._stall:.0f} s", kind="stalled") from error
            except ValueError as error:
                raise HubError("the Hub's answer about this model is too large", kind="large") from error
            if not line:
                return
            message = worker_message(line)
            now_done = message.at("done").whole()
            if message.at("kind").text() != "progress" or (now_done is not None and now_done > done):
                moved_at = loop.time()
                if now_done is not None:
                    done = now_done
            yield message


def _listed(message: Decoded, repo: str) -> tuple[Commit, dict[str, int]]:
    """The commit and the sizes by name that the worker had from the Hub, or from a mirror. Raises `HubError`."""
    try:
        commit = identifiers.commit(message.at("commit").text())
        listed = [(file.at("name").text(), file.at("size").whole() or 0) for file in message.at("files").items()]
    except JsonError as error:
        raise HubError(f"the Hub's list of {repo} cannot be understood: {error}", kind="other") from error
    if commit is None:
        raise HubError(f"the Hub names no commit of {repo}", kind="other", remedy="Is HF_ENDPOINT a mirror of the Hub?")
    if len(listed) > MOST_FILES:
        raise HubError(f"{repo} has {len(listed):,} files, more than can be taken", kind="large")
    for name, _ in listed:
        if identifiers.relative_path(name) is None:
            raise HubError(f"the Hub lists a file of {repo} that cannot be kept: {clean_line(name)}", kind="other")
    return commit, dict(listed)


def worker_message(line: bytes) -> Decoded:
    """A line that our worker wrote. Raises `HubError` when it is not a message of the worker."""
    try:
        message = decode_json(line)
        message.at("kind").present().text()
    except JsonError as error:
        raise HubError(f"the process that asks the Hub wrote no message: {error}", kind="other") from error
    return message


def explain(message: Decoded, repo: str, revision: str) -> HubError:
    """The worker's error as one for the person, with what to do."""
    kind, said = message.at("error").text(), clean_line(message.at("message").text())
    token = "Set HF_TOKEN to a token that may read it (huggingface.co/settings/tokens)."
    known = {
        "gated": (f"{repo} is gated: its licence must be accepted first", f"Accept it at {_SITE}/{repo}; {token}"),
        "missing": (f"there is no model {repo} on the Hub, or it is private", f"Check the name. If private: {token}"),
        "unauthorized": (f"the Hub does not let us read {repo}", token),
        "revision": (f"{repo} has no revision {revision}", f"See {_SITE}/{repo}/branches"),
        "name": (f"`{clean_line(repo)}` is not a model's name", "It is written organisation/name."),
        "offline": (
            "the Hugging Face Hub cannot be reached",
            "Check the network, a proxy (HTTPS_PROXY) or a mirror (HF_ENDPOINT).",
        ),
        "large": (f"the Hub's answer about {repo} is too large", "Is HF_ENDPOINT a mirror of the Hub?"),
        "outside": (
            f"the Hub wants a file of {repo} to be written outside the model's folder in the cache",
            "Is HF_ENDPOINT a mirror of the Hub? Do not use it.",
        ),
        "disk": ("this machine's disk is full", room_for_models()),
        "limited": (f"the Hub limits how often we may ask: {said}", f"Wait a little. {token}"),
    }
    if kind == "offline" and os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return HubError("HF_HUB_OFFLINE is set, so the Hub is not asked", kind=kind, remedy="unset HF_HUB_OFFLINE")
    what, remedy = known.get(kind, (f"the Hub says: {said}", ""))
    return HubError(what, kind=kind, remedy=remedy)
