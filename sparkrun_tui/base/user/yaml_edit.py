"""Changes to a YAML file of the user that leave every other line as it is, comments and order included.

The changed lines are replaced, located by the positions that PyYAML reports. `docs/decisions/009-own-files.md` says
why no library does this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import yaml

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex

_COMMENT_LINE = late_regex(r"([ ]*)#[^\n]*(?:\n|\Z)")


def with_data(text: str, data: Mapping[str, Any], read: Callable[[str], Any]) -> str:
    """`text` changed so that it means `data`, with as few changed lines as possible.

    `read` is how the file is read, and does not raise for `text`. A text that cannot be changed in place (a flow
    mapping, or one that repeats a removed part by an alias) is written anew, without its comments.
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
        # The reader refuses the changed text, for any reason: it must not be written.
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
    """Gives an alias a node of its own, at the place of the alias."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]
            return yaml.ScalarNode("alias", event.anchor, event.start_mark, event.end_mark)
        return super().compose_node(parent, index)


class _CannotBeEdited(Exception):
    """Raised when a part cannot be changed in place: a larger part is written anew then."""


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """A pair of a mapping or an item of a list: its position, and how it is written with another value."""

    start: int
    """The index of its key, or of the dash before an item."""
    end: int
    """The end of its last line."""
    value: yaml.Node
    write: Callable[[Any], str]
    colon: int = -1
    """The index behind the colon of a pair, -1 for an item."""


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
            # Some keys are merged in, or the reader gives them other names.
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
        """Give an entry another value, with the change as deep inside it as possible."""
        value = entry.value
        undo = len(self._edits)
        try:
            if self._is_block(value) and self._changed_inside(entry, old, new):
                return
        except _CannotBeEdited:
            del self._edits[undo:]
        was_collection = isinstance(value, yaml.CollectionNode)
        becomes_collection = isinstance(new, Mapping | list)
        if self._in_one_line(value) and (was_collection or not becomes_collection):
            # The rest of the line stays, such as a comment.
            start, end = value.start_mark.index, value.end_mark.index
            text = _in_line(new)
            if start == end and self._text[start - 1] != " ":
                text = f" {text}"
            self._edits.append(_Edit(start, end, text))
        else:
            self._edits.append(_Edit(entry.start, entry.end, entry.write(new)))

    def _changed_inside(self, entry: _Entry, old: Any, new: Any) -> bool:
        """Change the pairs or items of a block collection; False when its kind does not fit the new value."""
        value = entry.value
        if not isinstance(new, Mapping | list):
            return False
        if not new:
            if entry.colon < 0:
                return False
            self._empty(entry, new)
            return True
        if isinstance(value, yaml.MappingNode) and isinstance(new, Mapping):
            self.mapping(value, old, new)
            return True
        if isinstance(value, yaml.SequenceNode) and isinstance(new, list):
            self._sequence(value, old, new)
            return True
        return False

    def _empty(self, entry: _Entry, new: Any) -> None:
        """Remove all that a collection holds, except for the comments in between."""
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
        """Add lines behind an entry and the comments below it that are indented further, since those belong to it."""
        comment = _COMMENT_LINE.match(self._text, after)
        while comment and len(comment[1]) > column:
            after = comment.end()
            comment = _COMMENT_LINE.match(self._text, after)
        self._edits.append(_Edit(after, after, _indented(text, column)))

    def _end(self, node: yaml.Node) -> int:
        """The end of the last line of a node; blank lines and comments behind it do not belong to it."""
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

    `seen` holds the pairs of collections that are being compared: aliases may name the same one in many places.
    """
    if seen is None:
        seen = set()
    pair = id(one), id(other)
    if one is other or pair in seen:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        seen.add(pair)
        return _same_mappings(one, other, seen)
    if isinstance(one, list) and isinstance(other, list):
        seen.add(pair)
        if len(one) != len(other):
            return False
        return all(_same(item, other_item, seen) for item, other_item in zip(one, other, strict=True))
    if type(one) is not type(other):
        return False
    return bool(one == other)


def _same_mappings(one: Mapping[Any, Any], other: Mapping[Any, Any], seen: set[tuple[int, int]]) -> bool:
    values = {str(key): value for key, value in one.items()}
    other_values = {str(key): value for key, value in other.items()}
    if values.keys() != other_values.keys():
        return False
    return all(_same(value, other_values[key], seen) for key, value in values.items())


def _dumped(data: Any) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1_000_000)


def _in_line(data: Any) -> str:
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1_000_000, default_flow_style=True)
    # A scalar alone is followed by the marker of the document's end.
    return text.removesuffix("\n").removesuffix("\n...")


def _indented(text: str, column: int) -> str:
    return "".join(f"{' ' * column}{line}" for line in text.splitlines(keepends=True))
