"""Results of benchmarks in words: rows of figures, bars of the rates, and what was measured."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sparkrun_tui.base.units import format_gib
from sparkrun_tui.launch.bench.comparing import Pair, change, differences, is_beyond_noise, pairs
from sparkrun_tui.launch.bench.result import MeasuredHost, Point, Result, Spread

HEAD = ("AT ONCE", "PROMPT", "ANSWER", "FIRST TOKEN", "BETWEEN", "EACH", "ALL", "PROMPTS")
UNITS = "lengths in tokens, rates in tokens a second ± standard deviation"
PAIR_HEAD = ("AT ONCE", "PROMPT", "ANSWER", "FIRST TOKEN", "CHANGE", "EACH", "CHANGE", "ALL", "CHANGE")
PAIR_UNITS = "rates in tokens a second; a change in brackets is within the deviation of the runs"

_NONE = "-"
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def row(point: Point) -> tuple[str, ...]:
    """The figures of a point, as `HEAD` names them."""
    between = _NONE if point.between_tokens is None else seconds(point.between_tokens)
    first = _NONE if point.first_token is None else seconds(point.first_token.mean)
    return (*lengths(point), first, between, rate(point.decode), rate(point.decode_total), rate(point.prefill))


def lengths(point: Point) -> tuple[str, str, str]:
    """What was asked for: requests at once, tokens of the prompt (with those before it), tokens of the answer."""
    prompt = f"{point.prompt:,}"
    if point.depth:
        prompt = f"{point.depth:,} + {prompt}"
    return str(point.concurrency), prompt, f"{point.output:,}"


def rate(spread: Spread | None) -> str:
    """A rate with its deviation."""
    if spread is None:
        return _NONE
    if spread.mean >= 1000:
        return f"{spread.mean:,.0f} ± {spread.deviation:,.0f}"
    return f"{spread.mean:.1f} ± {spread.deviation:.1f}"


def seconds(value: float) -> str:
    """A short time."""
    if value < 1:
        return f"{value * 1000:.0f} ms" if value >= 0.01 else f"{value * 1000:.1f} ms"
    return f"{value:.2f} s"


def pair_row(pair: Pair) -> tuple[str, ...]:
    """The figures of a combination in both results, as `PAIR_HEAD` names them."""
    first, second = pair.first, pair.second
    known = first or second
    assert known is not None
    words = list(lengths(known))
    for name in ("first_token", "decode", "decode_total"):
        before: Spread | None = getattr(first, name, None)
        after: Spread | None = getattr(second, name, None)
        as_text = _time if name == "first_token" else _rate
        words += [f"{as_text(before)} → {as_text(after)}", _change(before, after)]
    return tuple(words)


def _time(spread: Spread | None) -> str:
    return _NONE if spread is None else seconds(spread.mean)


def _rate(spread: Spread | None) -> str:
    return _NONE if spread is None else f"{spread.mean:,.1f}"


def _change(before: Spread | None, after: Spread | None) -> str:
    share = change(before, after)
    if share is None:
        return _NONE
    text = f"{share:+.1%}"
    return text if is_beyond_noise(before, after) else f"({text})"


def chart(points: Sequence[Point], width: int) -> list[tuple[str, str, str]]:
    """The rate of all requests together, by how many are at once: a label, a bar of up to `width` cells, the figure."""
    known = [point for point in points if point.decode_total is not None]
    most = max((point.decode_total.mean for point in known if point.decode_total is not None), default=0.0)
    rows = []
    for point in known:
        assert point.decode_total is not None
        at_once, prompt, output = lengths(point)
        label = f"{at_once} at once, {prompt} / {output}"
        rows.append((label, bar(point.decode_total.mean, most, width), f"{point.decode_total.mean:,.1f} tokens/s"))
    return rows


def bar(value: float, most: float, width: int) -> str:
    """A bar whose length is the share of `most`, in eighths of a cell; at least the thinnest for what is above zero."""
    if most <= 0 or value <= 0 or width <= 0:
        return ""
    eighths = max(1, round(min(value / most, 1.0) * width * 8))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def facts(result: Result) -> list[tuple[str, str]]:
    """What was measured, by name."""
    measured = result.measured
    rows = [
        ("measured", time.strftime("%Y-%m-%d %H:%M", time.localtime(result.started))),
        ("recipe", f"{measured.recipe} {measured.recipe_digest[:12]}".strip()),
        ("model", measured.model),
        ("engine", measured.engine),
        ("launch", measured.launch_id),
        ("overrides", ", ".join(f"{key}={value}" for key, value in measured.overrides.items())),
        ("image", f"{measured.image} {measured.image_digest[:19]}".strip()),
    ]
    for host in measured.hosts:
        parts = [
            host.gpu,
            f"driver {host.driver}" if host.driver else "",
            format_gib(host.memory) if host.memory else "",
        ]
        rows.append(("host", f"{host.name}: {', '.join(part for part in parts if part) or 'did not answer'}"))
    rows.append(("client", f"{result.client}, {result.runs} runs of each"))
    if not result.is_complete:
        rows.append(("not complete", result.end))
    return [(name, text) for name, text in rows if text]


def _about(host: MeasuredHost) -> str:
    parts = []
    if host.gpu:
        parts.append(host.gpu)
    if host.driver:
        parts.append(f"driver {host.driver}")
    if host.memory:
        parts.append(format_gib(host.memory))
    return ", ".join(parts) or "did not answer"


def compared(first: Result, second: Result) -> list[tuple[str, ...]]:
    """The rows of two results side by side."""
    return [pair_row(pair) for pair in pairs(first, second)]


def differing(first: Result, second: Result) -> list[tuple[str, str, str]]:
    """What they were not measured on alike: name, first, second."""
    return [(item.name, item.first or _NONE, item.second or _NONE) for item in differences(first, second)]


def listed_row(result: Result) -> tuple[str, ...]:
    """A result in a list: id, when, recipe, hosts, the most at once with their rate, and whether it is complete."""
    measured = result.measured
    best = max(result.points, key=lambda point: point.decode_total.mean if point.decode_total else 0.0, default=None)
    return (
        result.id,
        time.strftime("%Y-%m-%d %H:%M", time.localtime(result.started)),
        measured.recipe,
        ", ".join(host.name for host in measured.hosts),
        str(best.concurrency) if best is not None else _NONE,
        rate(best.decode_total) if best is not None else _NONE,
        result.end,
    )


def as_markdown(result: Result) -> str:
    """A result to be pasted: what was measured, then a table."""
    lines = [f"- {name}: {text}" for name, text in facts(result)]
    lines += ["", f"| {' | '.join(HEAD)} |", f"|{' --: |' * len(HEAD)}"]
    lines += [f"| {' | '.join(row(point))} |" for point in result.points]
    return "\n".join([*lines, "", UNITS]) + "\n"
