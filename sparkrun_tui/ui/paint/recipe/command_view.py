"""The command as the author broke it into lines, with simple syntax colours."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sparkrun_tui.base import shell
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import visible_line, visible_text
from sparkrun_tui.ui.ink import Line, Span, wrap_line

# A string is bounded: many quotes of which none is closed would each be followed to the end of the line.
_SHELL = late_regex(
    r"(?P<comment>(?:^|(?<=\s))#[^\n]*)"
    r"|(?P<string>'[^']*'|\"(?:\\.|[^\"\\]){0,500}\")"
    r"|(?P<flag>(?:(?<=\s)|^)--?[A-Za-z][\w.-]*)"
    r"|(?P<number>(?<=[\s=])-?\d[\d.]*(?=\s|$))"
    r"|(?P<key>\$\{?\w+\}?)"
    r"|(?P<dim>&&|\|\||[|;&<>])"
)
_YAML = late_regex(
    r"(?P<comment>(?:^|(?<=\s))#[^\n]*)"
    r"|(?P<flag>^\s*(?:- )?[\w.-]+(?=:(?:\s|$)))"
    r"|(?P<string>'[^']*'|\"(?:\\.|[^\"\\]){0,500}\")"
    r"|(?P<number>(?<=[:\s])-?\d[\d._]*(?=\s|$))"
    r"|(?P<key>\{[A-Za-z_][\w-]*\})"
)


def _spans(pattern: re.Pattern[str], line: str) -> list[Span]:
    spans: list[Span] = []
    end = 0
    for match in pattern.finditer(line):
        if match.start() > end:
            spans.append((line[end : match.start()], ""))
        spans.append((match.group(), match.lastgroup or ""))
        end = match.end()
    if end < len(line):
        spans.append((line[end:], ""))
    return spans


def shell_lines(command: str, width: int) -> Sequence[Line]:
    """A shell command as coloured lines; longer lines continue with an indent."""
    lines: list[Line] = []
    for text in visible_text(command.rstrip("\n")).split("\n"):
        lines += wrap_line(_spans(_SHELL, text), width, len(text) - len(text.lstrip()) + 4)
    return lines


def argv_lines(argv: Sequence[str], width: int) -> Sequence[Line]:
    """The words that start the engine, each on its own line and quoted as a shell wants it; `argv` may be empty."""
    if not argv:
        return [[("? ", "unknown"), ("this command cannot be split into arguments", "dim")]]
    lines: list[Line] = []
    for word in argv:
        style = "flag" if re.fullmatch(r"--?[A-Za-z][\w.-]*", word) else ""
        lines += wrap_line([(visible_line(shell.word(word)), style)], width, 4)
    return lines


def yaml_lines(source: str, width: int, marks: dict[int, str] | None = None) -> Sequence[Line]:
    """A recipe file as coloured lines with their numbers; `marks` gives lines (from 1) a style for their number."""
    lines: list[Line] = []
    texts = visible_text(source.replace("\r\n", "\n").rstrip("\n")).split("\n")
    gutter = len(str(len(texts)))
    for number, text in enumerate(texts, 1):
        style = (marks or {}).get(number, "dim")
        sign = "▶" if style != "dim" else " "
        rows = wrap_line(_spans(_YAML, text), width - gutter - 2, len(text) - len(text.lstrip()) + 2)
        lines.append([(f"{number:>{gutter}}{sign} ", style), *rows[0]])
        lines += [[(" " * (gutter + 2), ""), *row] for row in rows[1:]]
    return lines
