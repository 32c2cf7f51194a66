"""The command palette: actions that apply now, recipes, hosts, workloads and themes, found by name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.ui.actions import find, key_name
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.app.theme_preview import PREFIX
from sparkrun_tui.ui.app_port import port_of

if TYPE_CHECKING:
    from sparkrun_tui.fleet.model import Workload

_MOST = 20
"""How many recipes are shown: the palette is for opening one, the list is for browsing."""


def _plain(text: str) -> Content:
    return Content(clean_line(text))


class ActionProvider(Provider):
    """Every action with a key on the screen below, with why it cannot run now."""

    def _actions(self) -> list[tuple[str, str, Actor, str]]:
        found: dict[str, tuple[str, str, Actor, str]] = {}
        for active in self.screen.active_bindings.values():
            action = find(active.binding.id or "")
            if action is None or not action.palette or action.id in found or not isinstance(active.node, Actor):
                continue
            reason = active.node.why_not(action.name)
            about = action.help + (f" Not now: {reason}" if reason else "")
            label = f"{action.label}  ({key_name(active.binding.key)})"
            found[action.id] = (label, about, active.node, action.name)
        return list(found.values())

    async def discover(self) -> Hits:
        """All actions, before anything is typed."""
        for label, about, node, name in self._actions():
            yield DiscoveryHit(_plain(label), partial(node.action_do, name), text=label, help=about)

    async def search(self, query: str) -> Hits:
        """Actions by label or by what they do."""
        matcher = self.matcher(query)
        for label, about, node, name in self._actions():
            score = max(matcher.match(label), matcher.match(about) * 0.8)
            if score > 0:
                yield Hit(score, _plain(label), partial(node.action_do, name), text=label, help=about)


class RecipeProvider(Provider):
    """Recipes by name."""

    async def search(self, query: str) -> Hits:
        """The best few matches."""
        app = port_of(self.app)
        found = app.state.catalog.search(query, lambda entry: "unknown")[:_MOST]
        for place, entry in enumerate(found):
            go = partial(app.edit_recipe, entry.source.path, {})
            yield Hit(0.7 - place / 100, _plain(entry.name), go, text=entry.name, help=clean_line(entry.model))


class ChatProvider(Provider):
    """What serves on the cluster, to talk to."""

    async def search(self, query: str) -> Hits:
        """Workloads whose recipe or model matches."""
        app = port_of(self.app)
        world = app.state.known_world
        matcher = self.matcher(query)
        for workload in world.running if world is not None else ():
            if not workload.ours or workload.port is None:
                continue
            label = f"chat with {workload.recipe or workload.model}"
            score = matcher.match(label)
            if score > 0:
                about = f"{workload.served_name or workload.model} on {workload.head_host}"
                go = partial(self._chat, workload)
                yield Hit(score, _plain(label), go, text=label, help=clean_line(about))

    def _chat(self, workload: Workload) -> None:
        app = port_of(self.app)
        app.background(app.chat_with(workload), "chat")


class HostProvider(Provider):
    """Hosts of the cluster and what runs on them, by name."""

    async def search(self, query: str) -> Hits:
        """Those whose name matches."""
        app = port_of(self.app)
        world = app.state.known_world
        if world is None:
            return
        pages = [
            (f"host {name}", "its figures over the last minutes", partial(app.open_host, name)) for name in world.hosts
        ]
        for item in world.workloads:
            about = f"{item.health.value} on {', '.join(dict.fromkeys(rank.host for rank in item.ranks))}"
            label = f"workload {item.recipe or item.model}"
            pages.append((label, about, partial(app.open_workload, item.key)))
        matcher = self.matcher(query)
        for label, about, go in pages:
            score = matcher.match(label)
            if score > 0:
                yield Hit(score, _plain(label), go, text=label, help=clean_line(about))


class ThemeProvider(Provider):
    """Themes, by name; the highlighted one is shown at once."""

    async def search(self, query: str) -> Hits:
        """Themes whose name matches."""
        matcher = self.matcher(query)
        for name in sorted(self.app.available_themes):
            label = f"{PREFIX}{name}"
            score = matcher.match(label)
            if score > 0:
                yield Hit(score, _plain(label), partial(setattr, self.app, "theme", name), text=label)
