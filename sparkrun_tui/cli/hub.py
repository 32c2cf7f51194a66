"""Asks the Hugging Face Hub what a model is, so that estimates and new recipes rest on its files."""

from __future__ import annotations

import asyncio

from sparkrun_tui.cli.exits import say, say_error


def look_up(model: str, revision: str = "") -> None:
    """Learn about a model; when that fails, the reason is printed, and what is known without the Hub is used."""
    from sparkrun_tui.launch.services import choose_gguf
    from sparkrun_tui.launch.sizing.model_lookup import ModelLookup
    from sparkrun_tui.launch.sizing.sizing import digest_folder
    from sparkrun_tui.remote.hub.model_facts import HubFacts

    lookup = ModelLookup(HubFacts(digest_folder(), choose_gguf), digest_folder())
    if lookup.wanted(model, revision):
        say(f"asking the Hugging Face Hub about {model}")
    found = asyncio.run(lookup.look_up(model, revision))
    if found.problem is not None:
        say_error(found.problem, f"{model} was not looked up")
