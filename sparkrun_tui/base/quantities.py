"""Numbers with their unit as types: what a field is called, it has one of these units everywhere."""

from __future__ import annotations

from typing import Annotated


class Unit(str):
    """The unit of a number, as the schemas in docs/json name it."""

    __slots__ = ()


Bytes = Annotated[int, Unit("bytes")]
Seconds = Annotated[float, Unit("seconds")]
"""A length of time."""
Moment = Annotated[float, Unit("seconds since 1970")]
Tokens = Annotated[int, Unit("tokens")]
TokensPerSecond = Annotated[float, Unit("tokens a second")]
Share = Annotated[float, Unit("share")]
"""Between 0 and 1."""
Percent = Annotated[float, Unit("percent")]
Parameters = Annotated[int, Unit("parameters")]
Count = Annotated[int, Unit("count")]
"""How many of something there are."""
Average = Annotated[float, Unit("count")]
"""How many, on average or with a part of one."""
Number = Annotated[int, Unit("number")]
"""One of a row: a line, a rank, a port, an exit code."""
Figure = Annotated[float, Unit("see the field beside it")]
"""A number whose unit another field of the same object names."""
