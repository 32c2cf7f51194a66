"""How grave a line of a log is: by the level that it states, else by its words."""

from __future__ import annotations

import pytest

from sparkrun_tui.engines.logs.levels import LineLevel, level_of


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("(EngineCore pid=1) ERROR 12-01 04:24:59 [core.py:1180] ValueError: no", LineLevel.ERROR),
        ("(EngineCore pid=1) INFO 12-01 04:24:59 [core.py:1180] ERROR rate 0", LineLevel.ALL),
        ("WARNING 12-01 04:24:59 [x.py:1] slow", LineLevel.WARNING),
        ("0.00.123.456 W load: slow", LineLevel.WARNING),
        ("0.00.123.456 E load: failed", LineLevel.ERROR),
        ("[W1201 04:24:59.123456 x.cpp:1] slow", LineLevel.WARNING),
        ("RuntimeError: no", LineLevel.ERROR),
        ("foo.py:12: UserWarning: old", LineLevel.WARNING),
        ("host:1:1 [0] NCCL WARN Call to connect", LineLevel.WARNING),
        ("Error response from daemon: no such image", LineLevel.ERROR),
        ('time="2026-12-01" level=warning msg="slow"', LineLevel.WARNING),
        ("Loading weights took 3.5 seconds", LineLevel.ALL),
        ("no error so far", LineLevel.ALL),
        ("", LineLevel.ALL),
    ],
)
def test_a_line_has_its_level(line: str, level: LineLevel) -> None:
    assert level_of(line) is level
