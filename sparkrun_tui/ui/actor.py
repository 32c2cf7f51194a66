"""The base of screens and panes: they perform actions of the table, or say why one cannot run now."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from textual.dom import DOMNode

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.ui.app_port import AppPort, port_of


class Actor(DOMNode):
    """A node that performs actions: `do_NAME` does it, `why_not` says in one sentence why it cannot run now."""

    @property
    def sparkrun(self) -> AppPort:
        """The app, as screens and widgets may use it."""
        return port_of(self.app)

    def why_not(self, name: str) -> str:
        """Why the action `name` cannot run now; empty when it can."""
        return ""

    def action_do(self, name: str, *arguments: str) -> None:
        """Run the action `name`, or say why not. `arguments` holds the pressed key for actions that need it."""
        reason = self.why_not(name)
        if reason:
            self.sparkrun.say(reason, "warning")
            return
        result = getattr(self, f"do_{name}")(*arguments)
        if result is not None:
            self.background(result, name)

    def background(self, work: Coroutine[Any, Any, object], group: str) -> None:
        """Run `work` in the background; errors are shown, never raised."""
        self.app.run_worker(self._guarded(work), group=f"{type(self).__name__}-{group}", exit_on_error=False)

    async def _guarded(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except SparkrunError as error:
            self.sparkrun.say_error(error)
        except Exception as error:  # a defect must not end the app while a launch runs
            self.app.log.error(repr(error))
            self.sparkrun.say(f"unexpected {type(error).__name__}: {error}", "error")
