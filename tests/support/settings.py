"""Settings of an engine from the words of a command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkrun_tui.engines.registry import FAMILIES
from sparkrun_tui.engines.settings import read_settings
from sparkrun_tui.memory.settings import EngineSettings


def settings_of(
    engine: str, argv: Sequence[str], image: str = "", env: Mapping[str, str] | None = None
) -> EngineSettings:
    """What `argv` asks of `engine` (`vllm`, `sglang`, `llama-cpp`)."""
    return read_settings(FAMILIES[engine], argv, image, env)
