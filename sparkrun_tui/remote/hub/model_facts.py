"""Reads facts of models from the Hub (or from files that lie here), in a child process, and keeps them as digests."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sparkrun_tui.base.reading.decoded import Decoded
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.models.digest import Digest, from_data
from sparkrun_tui.models.digest_cache import digest_path, write_digest
from sparkrun_tui.models.snapshot import folder_name
from sparkrun_tui.remote import children
from sparkrun_tui.remote.hub import cache as hub_cache
from sparkrun_tui.remote.hub.downloads import Choice, Chooser, HubError, HubSource, explain, worker_message
from sparkrun_tui.remote.ports.models import ModelFile, ModelRequest

TIMEOUT = 180.0
"""Seconds for the headers of one model: hundreds of files on a slow line."""
_MOST_LINE = 2 << 20
"""Bytes of a digest, which is parsed where the app waits; one that is kept has at most half of it."""


_HERE = "headers of the files in the Hugging Face cache"
_PROJECTOR = "*mmproj*.gguf"
"""The projector of a GGUF repository, if it has one."""


class HubFacts:
    """Looks models up: configuration, quantisation, and headers of weights by range requests; never the weights.

    `digests` is the folder that results are kept in (None: nowhere), `hub` the local cache, `choose` picks the
    files of a GGUF quantisation.
    """

    def __init__(
        self,
        digests: Path | None = None,
        choose: Chooser | None = None,
        *,
        hub: Path | None = None,
        endpoint: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        self._digests = digests
        self._source = HubSource(choose or _by_name, hub=hub, endpoint=endpoint)
        self._endpoint = endpoint
        self._timeout = timeout

    async def read(self, model: str, revision: str = "", token: Secret | None = None) -> Digest:
        """The digest of a model (`OWNER/NAME`, a GGUF with `:QUANT`), also kept for later.

        Cancelling ends the child process. Raises `HubError` with the remedy (gated, missing, offline, and so on).
        """
        repo, _, quant = model.partition(":")
        patterns = (_PROJECTOR,) if quant else ()
        request = ModelRequest(repo, revision, patterns, quant)
        digest = await self._run(await self._order(model, request, token), token)
        await self._keep(digest, model, revision)
        return digest

    async def read_here(self, model: str, revision: str = "") -> Digest | None:
        """The digest of a model by its files in this machine's cache, also kept for later; the network is not used.

        None where they do not lie here whole. Raises `HubError` for files that describe no model.
        """
        repo, _, quant = model.partition(":")
        if quant:
            order = await self._order_here(model, ModelRequest(repo, revision, (_PROJECTOR,), quant))
        else:
            order = await asyncio.to_thread(self._described, model, revision)
        if order is None:
            return None
        digest = await self._run(order, None)
        await self._keep(digest, model, revision)
        return digest

    async def _keep(self, digest: Digest, model: str, revision: str) -> None:
        if self._digests is None:
            return
        path = digest_path(self._digests, model, revision)
        try:
            await asyncio.to_thread(write_digest, path, digest)
        except OSError as error:
            raise HubError(
                f"what is known of {model} cannot be kept: {error.strerror or error}",
                kind="disk",
                remedy=f"See to {path.parent}.",
            ) from error

    async def of_starts(self, whole: Mapping[str, str], starts: Mapping[str, bytes]) -> Digest:
        """The digest of a model by how its files begin, by name; `whole` has its `model`, `commit` and `source`.

        They come from a host, so they are read in the child process like those of the Hub. Raises `HubError`.
        """
        packed = {name: base64.b64encode(data).decode() for name, data in starts.items()}
        order = {**whole, "repo": whole["model"], "quant": "", "files": list(starts), "projector": 0, "starts": packed}
        return await self._run(order, None)

    async def _order(self, model: str, request: ModelRequest, token: Secret | None) -> dict[str, Any]:
        """What the worker is to read: files that lie here whole, else the Hub's."""
        here = await self._order_here(model, request)
        if here is not None:
            return here
        plan = await self._source.plan(request, token)
        return {
            "model": model,
            "repo": request.repo,
            "quant": request.gguf_quant,
            **_files(plan.files),
            "commit": plan.commit,
            "source": f"Hugging Face Hub, commit {plan.commit[:7]}",
            "endpoint": self._endpoint,
        }

    async def _order_here(self, model: str, request: ModelRequest) -> dict[str, Any] | None:
        """What the worker is to read of files that lie here whole; None where they do not."""
        here = await self._source.stored(request)
        if here is None:
            return None
        return {
            "model": model,
            "repo": request.repo,
            "quant": request.gguf_quant,
            **_files(here.files),
            "snapshot": str(Path(here.hub) / here.snapshot),
            "commit": here.commit,
            "source": _HERE,
        }

    def _described(self, model: str, revision: str) -> dict[str, Any] | None:
        """What the worker is to read of a model whose weights lie here whole, even where other files do not."""
        hub = self._source.hub
        commit = hub_cache.commit_of(hub, model, revision)
        if commit is None:
            return None
        files = hub_cache.described(hub, model, commit)
        if not files:
            return None
        snapshot = hub / folder_name(model) / "snapshots" / commit
        order = {"model": model, "repo": model, "quant": "", "snapshot": str(snapshot), "commit": commit}
        return order | _files(files) | {"source": _HERE}

    async def _run(self, order: Mapping[str, Any], token: Secret | None) -> Digest:
        env = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1"}
        if token is not None:
            env["HF_TOKEN"] = token.reveal()
        words = [sys.executable, "-P", "-m", "sparkrun_tui.remote.hub.facts_worker"]
        process = await children.spawn(words, env=env, stdin=asyncio.subprocess.PIPE, limit=_MOST_LINE)
        repo = str(order["repo"])
        async with children.stopping(process, signal.SIGINT):
            assert process.stdin is not None and process.stdout is not None
            errors = asyncio.create_task(children.last_words(process.stderr))
            process.stdin.write(json.dumps(order).encode())
            process.stdin.close()
            try:
                async with asyncio.timeout(self._timeout):
                    line = await process.stdout.readline()
            except TimeoutError as error:
                errors.cancel()
                message = f"the facts of {repo} did not come within {self._timeout:.0f} s"
                raise HubError(message, kind="stalled", remedy="Check the network, or try again later.") from error
            except ValueError as error:
                errors.cancel()
                raise HubError(f"the headers of the files of {repo} are too large", kind="entry") from error
            if not line:
                said = clean_line((await errors).decode(errors="replace").strip().rpartition("\n")[2])
                raise HubError(f"the process that reads {repo} died: {said or 'it printed no message'}", kind="other")
            errors.cancel()
        return _digest(worker_message(line), repo)


def _files(files: Sequence[ModelFile]) -> dict[str, Any]:
    """The names of a model's files for the worker, and the bytes of its projector, which is none of them."""
    names = []
    projector = 0
    for file in files:
        if file.name.endswith(".gguf") and "mmproj" in file.name.lower():
            projector = file.size
        else:
            names.append(file.name)
    return {"files": names, "projector": projector}


def _digest(message: Decoded, repo: str) -> Digest:
    """The worker's digest. Raises `HubError` for its error."""
    if message.at("kind").text() == "digest":
        digest = from_data(message.at("digest").data)
        if digest is not None:
            return digest
        raise HubError(f"{repo} holds no model", kind="entry")
    if message.at("error").text() == "content":
        raise HubError(f"{repo} cannot be sized: {clean_line(message.at('message').text())}", kind="entry")
    raise explain(message, repo, "")


def _by_name(names: Any, request: ModelRequest) -> Choice:
    """The files whose names hold the quantisation."""
    files = tuple(name for name in names if request.gguf_quant.lower() in name.lower() and name.endswith(".gguf"))
    if not files:
        return Choice(files)
    return Choice(files, files[0])
