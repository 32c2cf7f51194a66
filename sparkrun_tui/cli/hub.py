"""Reads a model's own files, on the Hugging Face Hub or in this machine's cache, so that estimates go by them."""

from __future__ import annotations

from sparkrun_tui.cli.exits import say, say_error
from sparkrun_tui.recipe.values.rendered import Rendered


def look_up(model: str, revision: str = "") -> None:
    """Look up a model. A failure is printed; what is known without the Hub is then used."""
    import asyncio

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


def read_here(rendered: Rendered) -> bool:
    """Read the headers of a recipe's models that lie in this machine's cache; whether there are new facts."""
    from sparkrun_tui.launch.sizing.headers_here import HeadersHere

    here = HeadersHere()
    if not here.unread(rendered):
        return False
    import asyncio  # only where there is something to read

    return asyncio.run(here.read(rendered))
