"""The result of a benchmark: what was measured on what, as data that is kept and compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from sparkrun_tui.base.reading.decoded import Decoded
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line

COMPLETE = "complete"
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Spread:
    """The mean of several runs and its standard deviation."""

    mean: float
    deviation: float = 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """The figures of one combination. Lengths are tokens, rates tokens a second, times seconds.

    `decode` is the rate of one request, `decode_total` of all at once, `peak` the most of all in any second; `prefill`
    is the rate of all prompts together. None where the client had nothing to measure.
    """

    concurrency: int
    prompt: int
    output: int
    depth: int
    first_token: Spread | None = None
    decode: Spread | None = None
    decode_total: Spread | None = None
    peak: Spread | None = None
    prefill: Spread | None = None

    @property
    def between_tokens(self) -> float | None:
        """Seconds between two tokens of one request: the inverse of its rate, which leaves the first token out."""
        if self.decode is None or self.decode.mean <= 0:
            return None
        return 1 / self.decode.mean

    @property
    def combination(self) -> tuple[int, int, int, int]:
        """What tells points of one result apart."""
        return self.depth, self.prompt, self.output, self.concurrency


@dataclass(frozen=True, slots=True)
class MeasuredHost:
    """A host at the time of the measurement; memory is bytes."""

    name: str
    gpu: str = ""
    driver: str = ""
    memory: int = 0
    kernel: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured: the workload, how it was launched, its image and its hosts. Empty texts are not known."""

    recipe: str
    model: str
    engine: str = ""
    launch_id: str = ""
    recipe_digest: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    image_digest: str = ""
    hosts: tuple[MeasuredHost, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """One benchmark. `started` and `ended` are Unix seconds; `end` is `COMPLETE`, or why it ended before."""

    id: str
    started: float
    ended: float
    client: str
    measured: Measured
    points: tuple[Point, ...]
    runs: int
    end: str = COMPLETE

    @property
    def is_complete(self) -> bool:
        """Whether all that was asked for was measured."""
        return self.end == COMPLETE


def to_data(result: Result) -> dict[str, Any]:
    """The result as JSON data: what is kept, and what `--json` prints."""
    measured = result.measured
    return {
        "schema": _SCHEMA,
        "id": result.id,
        "started": result.started,
        "ended": result.ended,
        "end": result.end,
        "client": result.client,
        "runs": result.runs,
        "recipe": measured.recipe,
        "recipe_digest": measured.recipe_digest,
        "model": measured.model,
        "engine": measured.engine,
        "launch_id": measured.launch_id,
        "overrides": dict(measured.overrides),
        "image": measured.image,
        "image_digest": measured.image_digest,
        "hosts": [_host_data(host) for host in measured.hosts],
        "points": [_point_data(point) for point in result.points],
    }


def _host_data(host: MeasuredHost) -> dict[str, Any]:
    return {
        "name": host.name,
        "gpu": host.gpu,
        "driver": host.driver,
        "memory": host.memory,
        "kernel": host.kernel,
    }


_SPREADS = ("first_token", "decode", "decode_total", "peak", "prefill")
"""The figures of a point."""


def _point_data(point: Point) -> dict[str, Any]:
    data: dict[str, Any] = {
        "concurrency": point.concurrency,
        "prompt": point.prompt,
        "output": point.output,
        "depth": point.depth,
        "between_tokens": point.between_tokens,
    }
    for name in _SPREADS:
        spread: Spread | None = getattr(point, name)
        data[name] = None if spread is None else {"mean": spread.mean, "deviation": spread.deviation}
    return data


def from_data(data: Decoded) -> Result:
    """A kept result. Raises `ShapeError` for another shape."""
    data = data.present()
    overrides = data.at("overrides").fields()
    measured = Measured(
        recipe=_line(data, "recipe"),
        model=_line(data, "model"),
        engine=_line(data, "engine"),
        launch_id=_line(data, "launch_id"),
        recipe_digest=_line(data, "recipe_digest"),
        overrides={clean_line(key): clean_line(value.text()) for key, value in overrides.items()},
        image=_line(data, "image"),
        image_digest=_line(data, "image_digest"),
        hosts=tuple(_host_of(host) for host in data.at("hosts").items()),
    )
    return Result(
        id=_line(data, "id"),
        started=data.at("started").decimal(least=0.0) or 0.0,
        ended=data.at("ended").decimal(least=0.0) or 0.0,
        client=_line(data, "client"),
        measured=measured,
        points=tuple(_point_of(point) for point in data.at("points").items()),
        runs=data.at("runs").whole() or 0,
        end=_line(data, "end"),
    )


def _host_of(data: Decoded) -> MeasuredHost:
    return MeasuredHost(
        name=_line(data, "name"),
        gpu=_line(data, "gpu"),
        driver=_line(data, "driver"),
        memory=data.at("memory").whole() or 0,
        kernel=_line(data, "kernel"),
    )


def _point_of(data: Decoded) -> Point:
    spreads = {name: _spread_of(data.at(name)) for name in _SPREADS}
    return Point(
        concurrency=data.at("concurrency").whole() or 0,
        prompt=data.at("prompt").whole() or 0,
        output=data.at("output").whole() or 0,
        depth=data.at("depth").whole() or 0,
        **spreads,
    )


def _spread_of(data: Decoded) -> Spread | None:
    mean = data.at("mean").decimal(least=0.0)
    if mean is None:
        return None
    return Spread(mean, data.at("deviation").decimal() or 0.0)


def _line(data: Decoded, key: str) -> str:
    return clean_line(data.at(key).text())
