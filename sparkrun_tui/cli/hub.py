"""Looks up a model on the Hugging Face Hub, so that estimates and new recipes use its real files."""

from __future__ import annotations

import asyncio

from sparkrun_tui.cli.exits import say, say_error


def look_up(model: str, revision: str = "") -> None:
    """Look up a model. A failure is printed; what is known without the Hub is then used."""
    from sparkrun_tui.launch.services import choose_gguf
    from sparkrun_tui.launch.sizing.model_lookup import ModelLookup
    from sparkrun_tui.launch.sizing.sizing import digest_folder
    from sparkrun_tui.remote.hub.model_facts import HubFacts

    lookup = ModelLookup(HubFacts(digest_folder(), choose_gguf), digest_folder())
    if lookup.wanted(model, revision):
        say(f"looking up {model} on the Hugging Face Hub")
    found = asyncio.run(lookup.look_up(model, revision))
    if found.problem is not None:
        say_error(found.problem, f"{model} could not be looked up")
