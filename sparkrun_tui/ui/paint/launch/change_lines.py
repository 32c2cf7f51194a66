"""What overrides change, key by key: the recipe's own value, the new one, and the equivalent command line."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.text import visible_line
from sparkrun_tui.recipe.format.export import command_line
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.values import launch_keys
from sparkrun_tui.recipe.values.launch_keys import Kind
from sparkrun_tui.recipe.values.masking import redactor, shown, shown_settings
from sparkrun_tui.recipe.values.overrides import changed, from_data
from sparkrun_tui.recipe.values.rendered import value_text
from sparkrun_tui.ui.ink import Line, wrap_line
from sparkrun_tui.ui.paint.recipe.command_view import shell_lines


def change_lines(
    recipe: Recipe, overrides: Mapping[str, str], user_defaults: Mapping[str, object], width: int
) -> list[Line]:
    """The differences from the recipe's defaults, as removed and added lines."""
    kept = changed(recipe, overrides)
    hide = redactor(recipe, typed={**user_defaults, **overrides})
    safe, own_safe, users = shown_settings(kept), recipe.defaults, shown_settings(dict(user_defaults))
    lines: list[Line] = []
    for key in kept:
        own = own_safe.get(key)
        if launch_keys.kind_of(recipe, key) is not Kind.VALUE:
            own = launch_keys.own_value(recipe, key)
        if own:
            lines.append([(key, "bold")])
        else:
            lines.append([(key, "bold"), (" (not in the recipe)", "dim")])
        if own is not None:
            lines += wrap_line([("  - ", "bad"), (visible_line(hide(shown(key, own))), "")], width, 4)
        lines += wrap_line([("  + ", "good"), (visible_line(hide(safe[key])), "")], width, 4)
    if not kept:
        lines.append([("nothing is overridden: the recipe runs as written", "dim")])
    for key, data in users.items():
        used = key in recipe.defaults or "{" + key + "}" in (recipe.command or "")
        if used and key not in kept:
            value = visible_line(hide(value_text(from_data(data, recipe.defaults.get(key)))))
            lines += wrap_line([(f"{key} is {value}", ""), (" from your settings", "dim")], width, 2)
    lines += [
        [],
        [("the same on the command line", "title")],
        *shell_lines(hide(command_line(recipe, overrides)), width),
    ]
    return lines


def change_words(recipe: Recipe, overrides: Mapping[str, str], user_defaults: Mapping[str, object]) -> list[str]:
    """Each override in a few words, without secrets: `max_model_len 262144 → 32768`, or `(not in the recipe)`."""
    kept = changed(recipe, overrides)
    hide = redactor(recipe, typed={**user_defaults, **overrides})
    safe = shown_settings(kept)
    words: list[str] = []
    for key in kept:
        own = recipe.defaults.get(key)
        if launch_keys.kind_of(recipe, key) is not Kind.VALUE:
            own = launch_keys.own_value(recipe, key)
        now = visible_line(hide(str(safe[key])))
        if own is None:
            words.append(f"{key} {now} (not in the recipe)")
        else:
            words.append(f"{key} {visible_line(hide(shown(key, own)))} → {now}")
    return words
