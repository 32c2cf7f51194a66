"""Facts of models without a network: the local Hugging Face cache, digests of earlier look-ups, the shipped table."""

from __future__ import annotations

import re
from pathlib import Path

from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.models.digest import Digest, facts_of
from sparkrun_tui.models.digest_cache import digest_path, host_digest_path, read_digest
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.shipped_table import find_digest
from sparkrun_tui.models.snapshot import find_snapshot, folder_name, snapshot_digest

_MODEL = late_regex(r"[\w.-]+/[\w.-]+(:[\w.-]+)?", re.ASCII)


class LocalFacts:
    """Looks a model up in `hub` (the folder with `models--org--name`), then in `digests`, then in the table.

    Among the digests, those of files in the caches of the hosts come before those of the Hub.

    Either folder may be None. A found model is remembered until one of its files changes: another look-up
    only reads the times of two files.
    """

    def __init__(self, hub: Path | None = None, digests: Path | None = None) -> None:
        self._hub = hub
        self._digests = digests
        self._known: dict[tuple[str, str], tuple[tuple[int, int], ModelFacts | None]] = {}

    def find(self, model: str, revision: str = "") -> ModelFacts | None:
        """The facts of a model (`OWNER/NAME`, a GGUF with `:QUANT`, a path of the hosts); None when unknown here.

        A path is known once the hosts have been asked.
        """
        if model.startswith(("/", "~/")):
            return self._on_hosts(model)
        if not is_repository(model, revision):
            return None
        key = (model, revision)
        stamp = self._stamp(model, revision)
        known = self._known.get(key)
        if known is None or known[0] != stamp:
            found = self._look(model, revision)
            facts = None
            if found is not None:
                facts = facts_of(found)
            known = (stamp, facts)
            self._known[key] = known
        return known[1]

    def _on_hosts(self, path: str) -> ModelFacts | None:
        """The facts of a model on a path of the hosts, as it was when they were asked last."""
        if self._digests is None:
            return None
        file = host_digest_path(self._digests, path)
        stamp = (0, _changed(file))
        known = self._known.get((path, ""))
        if known is None or known[0] != stamp:
            digest = read_digest(file)
            facts = None
            if digest is not None and digest.model == path:
                facts = facts_of(digest)
            known = (stamp, facts)
            self._known[(path, "")] = known
        return known[1]

    def _look(self, model: str, revision: str) -> Digest | None:
        """The best digest: of the local snapshot, with its headers where they were read, else any."""
        repo, _, quant = model.partition(":")
        digest = on_host = None
        if self._digests is not None:
            digest = read_digest(digest_path(self._digests, model, revision))
            on_host = read_digest(host_digest_path(self._digests, cached_key(model, revision)))
        snapshot = None
        if self._hub is not None and not quant:
            snapshot = find_snapshot(self._hub, repo, revision)
        if snapshot is not None:
            digest_is_current = digest is not None and digest.commit == snapshot.commit
            if not digest_is_current:
                digest = snapshot_digest(model, snapshot) or digest
        elif on_host is not None and on_host.model == model:
            # Only where this machine has no files: what a host says is no better than what is seen here.
            digest = on_host
        return digest or find_digest(model)

    def _stamp(self, model: str, revision: str) -> tuple[int, int]:
        """When the cache's reference and the digest last changed, in nanoseconds."""
        reference = digest = 0
        if self._hub is not None:
            repo = model.partition(":")[0]
            folder = folder_name(repo)
            reference = _changed(self._hub / folder / "refs" / (revision or "main"))
        if self._digests is not None:
            digest = _changed(digest_path(self._digests, model, revision))
            digest += _changed(host_digest_path(self._digests, cached_key(model, revision)))
        return reference, digest


def is_repository(model: str, revision: str = "") -> bool:
    """Whether this names a repository (`OWNER/NAME`, a GGUF with `:QUANT`), and a revision that is no path outwards."""
    return _MODEL.fullmatch(model) is not None and ".." not in model and ".." not in revision


def cached_key(model: str, revision: str = "") -> str:
    """The key of a model in the caches of the hosts, for `host_digest_path`."""
    return f"{model}@{revision or 'main'}"


def _changed(path: Path) -> int:
    """When a file last changed, in nanoseconds; 0 when there is none."""
    try:
        return path.stat().st_mtime_ns
    except (OSError, ValueError):
        return 0
