"""The check that a server is ready, with what its command says of its API key and of what it answers."""

from __future__ import annotations

from sparkrun_tui.engines.command.server_key import key_of_command
from sparkrun_tui.engines.command.serving import ServeCommand
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.offers import offered_by_command
from sparkrun_tui.engines.plan import PlanRequest, ReadyCheck


def ready_check(request: PlanRequest, said: ServeCommand, family: Family, port: int, served_name: str) -> ReadyCheck:
    """The check on the first host. `said` is the serve command as it will run, `request` carries its secrets."""
    words = [word.text for word in said.words]
    return ReadyCheck(
        host=request.hosts[0].name,
        port=port,
        served_name=served_name,
        key=key_of_command(said, request.secret_env, family),
        offers=offered_by_command(words, family) if words else "",
    )
