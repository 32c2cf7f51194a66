"""Changes to a YAML file of the user's that leave every other line as it is, comments and order included.

The lines of what changes are replaced, by the places that PyYAML gives; `docs/decisions/009-own-files.md` says why no
library does this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import yaml

_COMMENT_LINE = re.compile(r"([ ]*)#[^\n]*(?:\n|\Z)")


def with_data(text: str, data: Mapping[str, Any], read: Callable[[str], Any]) -> str:
    """`text` changed so that it means `data`, in as few lines as that takes.

    `read` is how the file is read, and raises nothing for `text`. A text that cannot be changed in place (one flow
    mapping, or one that repeats what is taken out by an alias) is written anew, without its comments.
    """
    text = text.removeprefix("\ufeff")
    if text and not text.endswith("\n"):
        text += "\n"
    changed = _edited(text, read(text) or {}, data)
    if changed is None or not _same(_read_back(changed, read), data):
        return _dumped(data)
    return changed


def _read_back(text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text) or {}
    except Exception:
        # Whatever the reader says of it: this text is not the one to write.
        return None


def _edited(text: str, old: Any, new: Mapping[str, Any]) -> str | None:
    root = yaml.compose(text, Loader=_Loader)
    if root is None:
        return text + _dumped(new) if new else text
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        return None
    editor = _Editor(text)
    try:
        editor.mapping(root, old, new)
    except _CannotBeEdited:
        return None
    return editor.result()


class _Loader(yaml.SafeLoader):
    """Gives an alias a node of its own, which stands where the alias does."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]
            return yaml.ScalarNode("alias", event.anchor, event.start_mark, event.end_mark)
        return super().compose_node(parent, index)


class _CannotBeEdited(Exception):
    """Raised where a part cannot be changed in place, to have a larger part written anew."""


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """A pair of a mapping or an item of a list: where it stands, and how it is written with another value."""

    start: int
    """The place of its key, or of the dash before an item."""
    end: int
    """The end of its last line."""
    value: yaml.Node
    write: Callable[[Any], str]
    colon: int = -1
    """The place behind the colon of a pair."""


class _Editor:
    """Collects the changes to a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._edits: list[_Edit] = []

    def result(self) -> str:
        """The text with all changes made."""
        text = self._text
        for edit in sorted(self._edits, reverse=True):
            text = text[: edit.start] + edit.text + text[edit.end :]
        return text

    def mapping(self, node: yaml.MappingNode, old: Any, new: Mapping[str, Any]) -> None:
        """Change the pairs of a block mapping."""
        if not isinstance(old, Mapping):
            raise _CannotBeEdited
        before = {str(key): value for key, value in old.items()}
        entries = {str(key.value): self._pair(key, value) for key, value in node.value}
        if before.keys() != entries.keys():
            # Keys that are merged in, or that the reader gives other names.
            raise _CannotBeEdited
        for key, entry in entries.items():
            if key not in new:
                self._cut(entry)
            elif not _same(before[key], new[key]):
                self._change(entry, before[key], new[key])
        added = {key: value for key, value in new.items() if key not in entries}
        if added:
            column = node.start_mark.column
            self._insert(max(entry.end for entry in entries.values()), column, _dumped(added))

    def _sequence(self, node: yaml.SequenceNode, old: Sequence[Any], new: Sequence[Any]) -> None:
        """Change the items of a block list."""
        entries = [self._item(item) for item in node.value]
        column = self._column(entries[0].start)
        steps = SequenceMatcher(None, [_dumped(item) for item in old], [_dumped(item) for item in new], autojunk=False)
        for step, old_start, old_end, new_start, new_end in steps.get_opcodes():
            if step == "equal":
                continue
            both = min(old_end - old_start, new_end - new_start)
            for number in range(both):
                at = old_start + number
                self._change(entries[at], old[at], new[new_start + number])
            for entry in entries[old_start + both : old_end]:
                self._cut(entry)
            added = list(new[new_start + both : new_end])
            if added:
                last = old_start + both - 1
                after = entries[last].end if last >= 0 else self._line_start(entries[0].start)
                self._insert(after, column, _dumped(added))

    def _change(self, entry: _Entry, old: Any, new: Any) -> None:
        """Give an entry another value, as far inside of it as can be."""
        value = entry.value
        undo = len(self._edits)
        try:
            if self._is_block(value) and isinstance(value, yaml.MappingNode) and isinstance(new, Mapping) and new:
                self.mapping(value, old, new)
                return
            if self._is_block(value) and isinstance(value, yaml.SequenceNode) and isinstance(new, list) and new:
                self._sequence(value, old, new)
                return
            if self._is_block(value) and not new and isinstance(new, Mapping | list) and entry.colon >= 0:
                self._empty(entry, new)
                return
        except _CannotBeEdited:
            del self._edits[undo:]
        start, end = value.start_mark.index, value.end_mark.index
        if self._in_one_line(value) and (isinstance(value, yaml.CollectionNode) or not isinstance(new, Mapping | list)):
            # What stands behind it in the line stays, such as a comment.
            space = "" if start < end or self._text[start - 1] == " " else " "
            self._edits.append(_Edit(start, end, space + _in_line(new)))
        else:
            self._edits.append(_Edit(entry.start, entry.end, entry.write(new)))

    def _empty(self, entry: _Entry, new: Any) -> None:
        """Take all that a collection holds out of it, but for the comments between."""
        value = entry.value
        if isinstance(value, yaml.MappingNode):
            inner = [self._pair(key, each) for key, each in value.value]
        else:
            inner = [self._item(each) for each in value.value]
        for each in inner:
            self._cut(each)
        self._edits.append(_Edit(entry.colon, entry.colon, f" {_in_line(new)}"))

    def _pair(self, key: yaml.Node, value: yaml.Node) -> _Entry:
        start, name = key.start_mark.index, key.value
        column = key.start_mark.column

        def write(new: Any) -> str:
            return _indented(_dumped({name: new}), column).lstrip(" ")

        colon = self._text.find(":", key.end_mark.index) + 1
        return _Entry(start, self._end(value), value, write, colon)

    def _item(self, node: yaml.Node) -> _Entry:
        line = self._line_start(node.start_mark.index)
        before = self._text[line : node.start_mark.index]
        if before.strip() != "-":
            raise _CannotBeEdited
        dash = line + before.index("-")
        column = dash - line
        return _Entry(dash, self._end(node), node, lambda new: _indented(_dumped([new]), column).lstrip(" "))

    def _cut(self, entry: _Entry) -> None:
        line = self._line_start(entry.start)
        if self._text[line : entry.start].strip():
            raise _CannotBeEdited
        self._edits.append(_Edit(line, entry.end, ""))

    def _insert(self, after: int, column: int, text: str) -> None:
        """Add lines behind an entry, and behind comments below it that are indented further: those belong to it."""
        comment = _COMMENT_LINE.match(self._text, after)
        while comment and len(comment[1]) > column:
            after = comment.end()
            comment = _COMMENT_LINE.match(self._text, after)
        self._edits.append(_Edit(after, after, _indented(text, column)))

    def _end(self, node: yaml.Node) -> int:
        """The end of the last line that a node is written in; blank lines and comments behind it are not its own."""
        last = node
        while self._is_block(last):
            child = last.value[-1]
            last = child[1] if isinstance(last, yaml.MappingNode) else child
        at: int = last.end_mark.index
        if at and self._text[at - 1] == "\n":
            return at
        stop = self._text.find("\n", at)
        return len(self._text) if stop < 0 else stop + 1

    def _line_start(self, at: int) -> int:
        return self._text.rfind("\n", 0, at) + 1

    def _column(self, at: int) -> int:
        return at - self._line_start(at)

    def _in_one_line(self, node: yaml.Node) -> bool:
        return not self._is_block(node) and node.start_mark.line == node.end_mark.line

    @staticmethod
    def _is_block(node: yaml.Node) -> bool:
        return isinstance(node, yaml.CollectionNode) and not node.flow_style


def _same(one: Any, other: Any, seen: set[tuple[int, int]] | None = None) -> bool:
    """Whether two values mean the same, where keys are texts: `1:` is the key `1`.

    `seen` holds the pairs of collections that are being compared: aliases may name one in many places.
    """
    seen = set() if seen is None else seen
    pair = id(one), id(other)
    if one is other or pair in seen:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        seen.add(pair)
        one = {str(key): value for key, value in one.items()}
        other = {str(key): value for key, value in other.items()}
        return one.keys() == other.keys() and all(_same(one[key], other[key], seen) for key in other)
    if isinstance(one, list) and isinstance(other, list):
        seen.add(pair)
        return len(one) == len(other) and all(_same(a, b, seen) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def _dumped(data: Any) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1_000_000)


def _in_line(data: Any) -> str:
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1_000_000, default_flow_style=True)
    # A scalar alone is written with the sign of the document's end.
    return text.removesuffix("\n").removesuffix("\n...")


def _indented(text: str, column: int) -> str:
    return "".join(f"{' ' * column}{line}" for line in text.splitlines(keepends=True))
