"""A benchmark of a workload: begun here, followed, and shown beside earlier results of the same recipe."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from textual.widget import Widget

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.fleet.model import Workload
from sparkrun_tui.launch.bench import client
from sparkrun_tui.launch.bench.benchmark import Benchmark
from sparkrun_tui.launch.bench.options import Options, Typed, options_of, spelled
from sparkrun_tui.launch.bench.result import Result
from sparkrun_tui.launch.bench.store import kept
from sparkrun_tui.launch.bench.words import as_markdown
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import Line
from sparkrun_tui.ui.paint.launch.bench_lines import bench_lines
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.screens.dialogs.ask import AskScreen, Blank
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane

_LOOK = 0.25
"""Seconds between two looks at a benchmark that runs."""
_NAMES = ("Requests at once", "Tokens of a prompt", "Tokens of an answer", "Tokens before the prompt", "Runs of each")


class BenchScreen(PageScreen):
    """The benchmark belongs to the backend: leaving this screen ends nothing."""

    BINDINGS = bindings(Scope.BENCH)
    AUTO_FOCUS = "TextPane"
    WHERE = "benchmark"

    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self._workload = workload
        self._results: Sequence[Result] = ()
        self._at = 0
        """The place of the result that is shown among those of this recipe, the newest first."""
        self._beside = 1
        """The place of the earlier one beside it."""
        self._revision = -1

    def body(self) -> Iterable[Widget]:
        """One pane."""
        self.pane = TextPane(id="bench")
        yield Panel(self.pane, id="bench-panel", title=f"Benchmark of {self._workload.recipe}")

    def on_mount(self) -> None:
        """Show what was measured before."""
        super().on_mount()
        self.pane.show(self._paint)
        self.set_interval(_LOOK, self._look)
        self.background(self._read(), "bench-results")

    @property
    def _now(self) -> Benchmark | None:
        return self.sparkrun.backend.benchmark_of(self._workload.key)

    async def _read(self) -> None:
        """The kept results of this recipe."""
        found = await asyncio.to_thread(kept)
        self._results = [result for result in found if result.measured.recipe == self._workload.recipe]
        self._at, self._beside = 0, 1
        if self.whole:
            self.pane.repaint()
            self.refresh_bindings()

    def _look(self) -> None:
        now = self._now
        if now is None or now.revision == self._revision or not self.whole:
            return
        self._revision = now.revision
        if now.is_over and now.result is not None:
            self.background(self._read(), "bench-results")
        self.pane.repaint()
        self.refresh_bindings()

    def _result(self, place: int) -> Result | None:
        return self._results[place] if 0 <= place < len(self._results) else None

    def _paint(self, width: int) -> Sequence[Line]:
        return bench_lines(self._now, self._result(self._at), self._result(self._beside), width)

    # Actions.

    def why_not(self, name: str) -> str:
        """What can be done depends on what runs and what was measured."""
        now = self._now
        runs = now is not None and not now.is_over
        if name == "measure" and runs:
            return "It is being measured: x stops that."
        if name == "stop" and not runs:
            return "Nothing is being measured."
        if name == "copy" and not self._results:
            return "Nothing was measured yet."
        if name in ("earlier", "later") and len(self._results) < 3:
            return "There are no more earlier results of this recipe."
        return ""

    async def do_measure(self) -> None:
        """Ask what to measure, then begin."""
        cluster = self.sparkrun.state.cluster
        if cluster is None:
            return
        usual = Options()
        now = self._now
        if now is not None:
            usual = now.options
        blanks = (
            Blank(_NAMES[0], spelled(usual.concurrency), "1,2,4,8"),
            Blank(_NAMES[1], spelled(usual.prompt), "2048"),
            Blank(_NAMES[2], spelled(usual.output), "128"),
            Blank("Tokenizer", usual.tokenizer, "the model's own; a repository of the Hub, or a file tokenizer.json"),
            Blank("Text", str(usual.text or ""), "a book that the client downloads; or a file"),
        )
        about = f"Every combination is measured {usual.runs} times. The server answers nobody else as fast meanwhile."
        answers = await self.sparkrun.answer(AskScreen("Measure", blanks, about, _wrong))
        if answers is None:
            return
        options = replace(_options(answers), depth=usual.depth, runs=usual.runs)
        if not client.is_installed():
            lines = [
                f"Install {client.NAME} {client.VERSION}?",
                f"It measures, and is no part of this program: {client.DISK} in {client.folder()}.",
            ]
            if not await self.sparkrun.ask(Confirm("Client", lines, "Install it", "Not now")):
                return
        self.sparkrun.backend.benchmark(self._workload, cluster, options)
        if self.whole:
            self._look()

    def do_stop(self) -> None:
        """Stop what is being measured; what it has is kept."""
        now = self._now
        if now is not None:
            now.stop()

    def do_earlier(self) -> None:
        """Compare with the result before."""
        self._move(1)

    def do_later(self) -> None:
        """Compare with the result after."""
        self._move(-1)

    def _move(self, step: int) -> None:
        self._beside = 1 + (self._beside - 1 + step) % (len(self._results) - 1)
        self.pane.repaint()

    def do_copy(self) -> None:
        """Copy the selection, or the result as Markdown."""
        selected = self.get_selected_text()
        result = self._result(self._at)
        if selected:
            self.sparkrun.copy(selected, "selection")
        elif result is not None:
            self.sparkrun.copy(as_markdown(result), "result")

    def do_back(self) -> None:
        """Go back; the benchmark goes on."""
        self.app.pop_screen()


def _options(answers: Sequence[str]) -> Options:
    """The options that were typed. Raises `UsageError`."""
    at_once, prompt, output, tokenizer, text = answers
    file = Path(text).expanduser() if text else None
    if file is not None and not file.is_file():
        raise UsageError(f"there is no file {text}")
    return options_of(Typed(at_once, prompt, output, tokenizer=tokenizer, text=file, names=_NAMES))


def _wrong(answers: Sequence[str]) -> str:
    try:
        _options(answers)
    except UsageError as error:
        return error.what
    return ""
