"""The newest warnings of a log: by level, without prefixes, equal ones counted, secrets hidden."""

from __future__ import annotations

from sparkrun_tui.launch.log_warnings import MOST, newest_warnings
from sparkrun_tui.launch.record.logs import LogLine


def lines(*texts: str) -> list[LogLine]:
    return [LogLine(1000.0 + number, "stderr", text) for number, text in enumerate(texts)]


def test_warnings_and_errors_are_found_by_the_level_of_each_engine() -> None:
    found = newest_warnings(
        lines(
            "(EngineCore pid=7) INFO 11-24 10:00:01 [core.py:1] Starting to load model",
            "(EngineCore pid=7) WARNING 11-24 10:00:02 [core.py:2] Using default MoE config",
            "(APIServer pid=1) ERROR 11-24 10:00:03 [serving.py:9] Error in preprocessing",
            "0.01.234.567 W llama_context: n_ctx_seq < n_ctx_train",
            "plain text without a level",
        )
    )
    assert [(item.text, item.grave, item.time) for item in found] == [
        ("Using default MoE config", False, 1001.0),
        ("Error in preprocessing", True, 1002.0),
        ("llama_context: n_ctx_seq < n_ctx_train", False, 1003.0),
    ]


def test_equal_warnings_are_one_at_its_last_time_and_only_the_newest_are_kept() -> None:
    texts = [f"WARNING 11-24 10:00:02 [core.py:2] number {number}" for number in range(MOST + 2)]
    found = newest_warnings(lines(*texts, texts[0]))
    assert [item.text for item in found] == ["number 3", "number 4", "number 5", "number 0"]
    assert found[-1].times == 2 and found[-1].words == "(2 times) number 0"
    assert found[0].words == "number 3"


def test_a_quiet_log_has_none() -> None:
    assert newest_warnings(lines("INFO 11-24 10:00:01 [core.py:1] all is well", "")) == ()
