"""What a start of the program does without: garbage collection, and libraries that the first paint does not need."""

from __future__ import annotations

import gc
import sys

import pytest

from sparkrun_tui import entry
from sparkrun_tui.cli import groups, main


def test_nothing_is_collected_while_a_command_starts_and_again_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    found = main.LazyGroup.get_command
    thresholds = gc.get_threshold()

    def looked_up(group: main.LazyGroup, ctx: object, name: str) -> object:
        seen.append(gc.isenabled())
        command = found(group, ctx, name)  # type: ignore[arg-type]
        assert command is not None and command.callback is not None
        run = command.callback

        def callback(*args: object, **named: object) -> object:
            seen.append(gc.isenabled())
            return run(*args, **named)

        monkeypatch.setattr(command, "callback", callback)
        return command

    monkeypatch.setattr(main.LazyGroup, "get_command", looked_up)
    try:
        assert entry.main(["list"]) == 0
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    assert (seen[0], seen[-1]) == (False, True)
    assert gc.isenabled()


def test_the_app_alone_needs_no_command_line_but_a_shell_that_completes_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sparkrun-tui"])
    assert entry.main() == 2
    assert "the app needs a terminal" in capsys.readouterr().err
    assert entry._COMPLETED == groups.COMPLETED
    monkeypatch.setenv(groups.COMPLETED, "bash_source")
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 0
    assert "sparkrun" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--version"], ["no-such-command"], []])
def test_it_is_collected_again_whatever_ends_a_start(arguments: list[str]) -> None:
    entry.main(arguments)  # without a terminal, the app is an error of usage
    assert gc.isenabled()
