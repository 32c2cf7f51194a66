"""The overrides of one recipe as they are typed, with undo and redo."""

from __future__ import annotations

from collections.abc import Mapping

Overrides = Mapping[str, str]


class Edits:
    """The overrides with their history; every change is one step of undo. Values are the text as typed."""

    def __init__(self, overrides: Overrides | None = None) -> None:
        self._past: list[dict[str, str]] = []
        self._now: dict[str, str] = dict(overrides or {})
        self._future: list[dict[str, str]] = []
        self._draft: tuple[str, str] | None = None

    @property
    def kept(self) -> Overrides:
        """The overrides without the value that is being typed."""
        return self._now

    @property
    def overrides(self) -> Overrides:
        """The current overrides, with the value that is being typed."""
        if self._draft is None:
            return self._now
        key, text = self._draft
        return {**self._now, key: text}

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""
        return bool(self._future)

    def draft(self, key: str, text: str) -> None:
        """Show `text` as the value of `key` without keeping it."""
        self._draft = (key, text)

    def drop_draft(self) -> None:
        """Forget what was being typed."""
        self._draft = None

    def set(self, key: str, text: str) -> None:
        """Keep a value."""
        self._draft = None
        if self._now.get(key) != text:
            self._change({**self._now, key: text})

    def update(self, changes: Overrides) -> None:
        """Keep several values as one step."""
        self._draft = None
        if any(self._now.get(key) != text for key, text in changes.items()):
            self._change({**self._now, **changes})

    def use(self, overrides: Overrides) -> None:
        """Keep other overrides in place of all, as one step."""
        self._draft = None
        if dict(overrides) != self._now:
            self._change(dict(overrides))

    def reset(self, key: str) -> None:
        """Remove the override of a field."""
        self._draft = None
        if key in self._now:
            self._change({name: text for name, text in self._now.items() if name != key})

    def reset_all(self) -> None:
        """Remove every override."""
        self._draft = None
        if self._now:
            self._change({})

    def undo(self) -> None:
        """Undo the last step."""
        self._draft = None
        if self._past:
            self._future.append(self._now)
            self._now = self._past.pop()

    def redo(self) -> None:
        """Redo the step that was undone last."""
        self._draft = None
        if self._future:
            self._past.append(self._now)
            self._now = self._future.pop()

    def _change(self, overrides: dict[str, str]) -> None:
        self._past.append(self._now)
        self._now = overrides
        self._future.clear()
