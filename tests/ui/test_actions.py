"""The one table of actions: unique ids, no two actions of a scope on one key, every action has its method."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sparkrun_tui.ui.actions import ACTIONS, Scope, keys_page, unknown_keys
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.chat import ChatScreen
from sparkrun_tui.ui.screens.cluster import ClusterPicker
from sparkrun_tui.ui.screens.dialogs.ask import AnswerLine
from sparkrun_tui.ui.screens.dialogs.changes import ChangesScreen
from sparkrun_tui.ui.screens.dialogs.export import ExportScreen
from sparkrun_tui.ui.screens.dialogs.snippets import SnippetsScreen
from sparkrun_tui.ui.screens.fleet import FleetScreen
from sparkrun_tui.ui.screens.history import HistoryScreen
from sparkrun_tui.ui.screens.launch import LaunchScreen
from sparkrun_tui.ui.screens.plan import PlanScreen
from sparkrun_tui.ui.screens.registries import RegistriesScreen
from sparkrun_tui.ui.screens.stores import StoresScreen
from sparkrun_tui.ui.widgets.form.field_list import FieldEditor, FieldList
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.log.view import LogView
from sparkrun_tui.ui.widgets.message_box import MessageBox
from sparkrun_tui.ui.widgets.repair_list import RepairList
from sparkrun_tui.ui.widgets.search_box import SearchBox
from sparkrun_tui.ui.widgets.text_pane import TextPane

NODES = {
    Scope.APP: (SparkrunApp,),
    Scope.LIST: (ListPane, TextPane),
    Scope.BROWSE: (BrowseScreen,),
    Scope.SEARCH: (SearchBox,),
    Scope.FORM: (FieldList,),
    Scope.EDITOR: (FieldEditor,),
    Scope.PLAN: (PlanScreen,),
    Scope.LAUNCH: (LaunchScreen,),
    Scope.REPAIR: (RepairList,),
    Scope.LOG: (LogView,),
    Scope.FLEET: (FleetScreen,),
    Scope.CHAT: (ChatScreen,),
    Scope.MESSAGE: (MessageBox,),
    Scope.SNIPPETS: (SnippetsScreen,),
    Scope.EXPORT: (ExportScreen,),
    Scope.STORES: (StoresScreen,),
    Scope.HISTORY: (HistoryScreen,),
    Scope.REGISTRIES: (RegistriesScreen,),
    Scope.CHANGES: (ChangesScreen,),
    Scope.ANSWER: (AnswerLine,),
    Scope.PICKER: (ClusterPicker,),
}


def test_ids_are_unique() -> None:
    assert [name for name, count in Counter(action.id for action in ACTIONS).items() if count > 1] == []


def test_a_key_means_one_thing_in_a_scope() -> None:
    for scope in Scope:
        if scope is Scope.DIALOG:
            continue  # each question takes the answers it has
        keys = Counter(key for action in ACTIONS if action.scope is scope for key in action.keys.split(","))
        assert [key for key, count in keys.items() if count > 1] == [], scope


@pytest.mark.parametrize("pane", [Scope.FORM, Scope.LIST, Scope.LOG, Scope.REPAIR, Scope.SEARCH])
def test_a_pane_gives_no_letter_of_its_screen_another_meaning(pane: Scope) -> None:
    """Who presses `l` to launch must not change a value because the form has the focus."""
    screens = {Scope.APP, Scope.LAUNCH if pane in (Scope.LOG, Scope.REPAIR) else Scope.BROWSE}
    around = {key for action in ACTIONS if action.scope in screens for key in action.keys.split(",")}
    own = {key for action in ACTIONS if action.scope is pane for key in action.keys.split(",")}
    assert sorted(key for key in own & around if len(key) == 1 and key.isalpha()) == []


def test_every_action_has_its_method_wherever_it_applies() -> None:
    for action in ACTIONS:
        for node in NODES.get(action.scope, ()):
            assert callable(getattr(node, f"do_{action.name}", None)), f"{node.__name__} lacks do_{action.name}"


def test_every_action_is_explained_in_a_sentence() -> None:
    for action in ACTIONS:
        assert action.help.endswith("."), action.id
        assert action.help[0].isupper(), action.id


def test_the_page_of_keys_is_fresh() -> None:
    page = Path(__file__).parents[2] / "docs" / "keys.md"
    assert page.read_text(encoding="utf-8") == keys_page(), "write it anew: ./dev keys"


def test_unknown_ids_of_the_key_map_are_told() -> None:
    assert unknown_keys({"browse.launch": "ctrl+l", "browse.lunch": "l"}) == ["browse.lunch"]
