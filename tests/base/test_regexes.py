"""Patterns that are compiled late: the same answers as compiled ones, and every one of the program can be compiled."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any

import pytest

import sparkrun_tui
from sparkrun_tui.base.regexes import late_regex
from tests.project.test_repo import ROOT, sources


@pytest.mark.parametrize("flags", [0, re.IGNORECASE, re.MULTILINE | re.DOTALL])
def test_a_late_pattern_answers_as_a_compiled_one(flags: int) -> None:
    text = "One two\nThree 2\n"
    late, compiled = late_regex(r"(?P<word>t\w+)|^\d", flags), re.compile(r"(?P<word>t\w+)|^\d", flags)
    assert [found.span() for found in late.finditer(text)] == [found.span() for found in compiled.finditer(text)]
    assert late.sub("-", text) == compiled.sub("-", text)
    assert late.subn("-", text, count=1) == compiled.subn("-", text, count=1)
    assert late.split(text) == compiled.split(text)
    assert late.findall(text, 3) == compiled.findall(text, 3)
    assert late.match(text) == compiled.match(text) is None or late.match(text)
    assert late.fullmatch("two") and not late.fullmatch("a two")
    assert (late.pattern, late.flags, late.groups) == (compiled.pattern, compiled.flags, compiled.groups)
    assert late.groupindex == compiled.groupindex


def test_a_late_pattern_of_bytes_searches_bytes() -> None:
    found = late_regex(rb"\d+").search(b"a 12")
    assert found is not None and found.group() == b"12"


def test_a_pattern_is_compiled_once_at_its_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    real = re.compile

    def counted(text: Any, flags: Any = 0) -> Any:
        compiled.append(text)
        return real(text, flags)

    monkeypatch.setattr("sparkrun_tui.base.regexes.re.compile", counted)
    late = late_regex("only here")
    assert compiled == []
    assert late.search("it is only here") and late.match("no") is None and late.pattern == "only here"
    assert compiled == ["only here"]


def test_a_pattern_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        late_regex("a").serach("a")  # type: ignore[attr-defined]


def test_every_late_pattern_of_the_program_can_be_compiled() -> None:
    """One that cannot be would be found only by who uses it."""
    found = 0
    kind = type(late_regex("a"))
    for module in pkgutil.walk_packages(sparkrun_tui.__path__, "sparkrun_tui."):
        if module.name.endswith("__main__"):
            continue
        pending: list[Any] = list(vars(importlib.import_module(module.name)).values())
        while pending:
            value = pending.pop()
            if isinstance(value, (tuple, list)):
                pending.extend(value)
            elif isinstance(value, kind):
                assert re.compile(value.pattern, value.flags)
                found += 1
    assert found > 200


def test_patterns_of_modules_are_compiled_late() -> None:
    at_once = []
    for path in sources():
        place = path.relative_to(ROOT / "sparkrun_tui").as_posix()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.match(r"(\w+(: .+)? = )?re\.compile\(", line):
                at_once.append(f"{place}:{number}")
    assert at_once == [], "take late_regex from sparkrun_tui.base.regexes"
