"""Benchmarks as JSON."""

from __future__ import annotations

from typing import Annotated, TypedDict

from sparkrun_tui.base.quantities import Bytes, Count, Moment, Seconds, Share, Tokens, TokensPerSecond


class SecondsSpread(TypedDict):
    """A time in several runs: the mean, and the standard deviation."""

    mean: Seconds
    deviation: Seconds


class RateSpread(TypedDict):
    """A rate in several runs: the mean, and the standard deviation."""

    mean: TokensPerSecond
    deviation: TokensPerSecond


class PointJson(TypedDict):
    """The figures of one combination; null where there was nothing to measure."""

    concurrency: Annotated[Count, "Requests at once."]
    prompt: Tokens
    output: Tokens
    depth: Annotated[Tokens, "What is before the prompt."]
    between_tokens: Annotated[Seconds | None, "Between two tokens of one answer, without the first."]
    first_token: SecondsSpread | None
    decode: Annotated[RateSpread | None, "New tokens of one request."]
    decode_total: Annotated[RateSpread | None, "New tokens of all requests at once."]
    peak: Annotated[RateSpread | None, "The most new tokens of all in any second."]
    prefill: Annotated[RateSpread | None, "Tokens of all prompts."]


class MeasuredHostJson(TypedDict):
    """A host at the time; texts are empty and numbers 0 where it did not answer."""

    name: str
    gpu: str
    driver: str
    memory: Bytes
    kernel: str


class BenchJson(TypedDict):
    """One benchmark."""

    schema: Annotated[Count, "The version of this shape."]
    id: str
    started: Moment
    ended: Moment
    end: Annotated[str, "`complete`, or why it ended before."]
    client: str
    runs: Annotated[Count, "Of each combination."]
    recipe: str
    recipe_digest: str
    model: str
    engine: str
    launch_id: str
    overrides: dict[str, str]
    image: str
    image_digest: str
    hosts: list[MeasuredHostJson]
    points: list[PointJson]


class ChangeJson(TypedDict):
    """The change of a combination from the first result to the second; null where one does not have it."""

    concurrency: Count
    prompt: Tokens
    output: Tokens
    depth: Tokens
    first_token_change: Share | None
    decode_change: Share | None
    decode_total_change: Share | None
    prefill_change: Share | None


class DifferenceJson(TypedDict):
    """Something that two results were not measured on alike."""

    name: str
    first: str
    second: str


class ComparedJson(TypedDict):
    """Two results side by side."""

    first: BenchJson
    second: BenchJson
    changes: list[ChangeJson]
    differences: list[DifferenceJson]
