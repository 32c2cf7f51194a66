"""`models` and `images`: what hosts and this machine store, whether it is whole, and removing what nothing needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.cli import output
from sparkrun_tui.cli.context import Target, open_services, settings_now, target_options
from sparkrun_tui.cli.exits import Exit, say
from sparkrun_tui.cli.groups import CommandGroup

if TYPE_CHECKING:
    from sparkrun_tui.base.user.settings import Cluster, Settings
    from sparkrun_tui.launch.services import Services
    from sparkrun_tui.launch.stores.model import NamedBy, StoresView
    from sparkrun_tui.launch.stores.prune import Item, Offer, PruneReport
    from sparkrun_tui.launch.stores.verify import Checked

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Where:
    """The hosts that a command is for; `here` is this machine alone."""

    target: Target
    here: bool


def _where_options(function: F) -> F:
    """The options that choose hosts, and `--here`."""
    here = click.option("--here", is_flag=True, help="Only this machine; no host is asked.")
    return target_options(here(function))


_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object; sizes in bytes.")


def _prune_options(kind: str) -> Callable[[F], F]:
    """The options of both commands that remove something; `kind` names it in the help, in the plural."""

    def add(function: F) -> F:
        unused = click.option(
            "--unused", is_flag=True, help=f"Also offer {kind} that no recipe names and no container uses."
        )
        dry_run = click.option("--dry-run", is_flag=True, help="Only show what would go.")
        yes = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
        return _where_options(unused(dry_run(yes(_json_option(function)))))

    return add


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was found, and the ways to the hosts."""

    cluster: Cluster | None
    services: Services
    view: StoresView
    named: Sequence[NamedBy]


@asynccontextmanager
async def _asked(where: Where) -> AsyncIterator[_Asked]:
    from sparkrun_tui.launch.stores.look import look

    settings = settings_now()
    named = await asyncio.to_thread(_named, settings)
    async with _opened(settings, where) as (cluster, services):
        yield _Asked(cluster, services, await look(cluster, services, named), named)


@asynccontextmanager
async def _opened(settings: Settings, where: Where) -> AsyncIterator[tuple[Cluster | None, Services]]:
    """The cluster and the services; no cluster for this machine alone."""
    if not where.here:
        async with open_services(settings, where.target) as (cluster, services):
            yield cluster, services
        return
    if where.target != Target() and (where.target.hosts or where.target.demo):
        raise UsageError("--here is this machine alone", remedy="Give --here, or hosts.")
    from sparkrun_tui.launch.services import real_services

    services = real_services()
    try:
        yield None, services
    finally:
        await services.close()


def _named(settings: Settings) -> Sequence[NamedBy]:
    """The recipes of the list and the earlier launches that name models and images."""
    from sparkrun_tui.engines.search_words import search_words
    from sparkrun_tui.launch.stores.named import named_by
    from sparkrun_tui.recipe.search.listing import finish, list_recipes

    return named_by(finish(list_recipes(settings, search_words)).entries)


def _end(view: StoresView, code: Exit = Exit.OK) -> Exit:
    """The exit code, after what the hosts have left was printed on stderr."""
    return max(code, Exit.HOST if view.silent else Exit.OK)


def _images_end(view: StoresView) -> Exit:
    """The exit code of a list of images: those of a host whose Docker gave no answer are not known."""
    is_unclear = any(host.images is None or host.docker_problem for host in view.hosts)
    return Exit.HOST if is_unclear else Exit.OK


# Models.


@click.group("models", cls=CommandGroup, invoke_without_command=True)
@_where_options
@_json_option
@click.pass_context
def models_group(
    ctx: click.Context, hosts: str, cluster_name: str, demo: bool, here: bool, as_json: bool
) -> int | None:
    """Show the models on the hosts and on this machine; without a command, list them."""
    return _list_unless_command(ctx, _list_models, Where(Target(hosts, cluster_name, demo), here), as_json)


@click.group("images", cls=CommandGroup, invoke_without_command=True)
@_where_options
@_json_option
@click.pass_context
def images_group(
    ctx: click.Context, hosts: str, cluster_name: str, demo: bool, here: bool, as_json: bool
) -> int | None:
    """Show the images on the hosts and on this machine; without a command, list them."""
    return _list_unless_command(ctx, _list_images, Where(Target(hosts, cluster_name, demo), here), as_json)


def _list_unless_command(
    ctx: click.Context, list_them: Callable[[Where, bool], Coroutine[Any, Any, Exit]], where: Where, as_json: bool
) -> int | None:
    if ctx.invoked_subcommand is None:
        return asyncio.run(list_them(where, as_json))
    given = ctx.find_root().params
    of_group = where.target.demo and not given.get("demo")
    of_group = of_group or (bool(where.target.cluster) and not given.get("cluster_name"))
    if as_json or where.here or where.target.hosts or of_group:
        # The command takes its own: what stands before it would be dropped.
        raise click.UsageError(f"write the options behind `{ctx.invoked_subcommand}`", ctx)
    return None


@models_group.command("list")
@_where_options
@_json_option
def list_models_command(hosts: str, cluster_name: str, demo: bool, here: bool, as_json: bool) -> int:
    """List the models with their sizes on each host, when they were last used, and what uses them.

    Exit code 3 when a host cannot be reached.
    """
    return asyncio.run(_list_models(Where(Target(hosts, cluster_name, demo), here), as_json))


async def _list_models(where: Where, as_json: bool) -> Exit:
    from sparkrun_tui.cli.text import stores as text

    async with _asked(where) as asked:
        view = asked.view
        if as_json:
            output.as_json({**text.stores_json(view), "models": [text.model_json(model) for model in view.models]})
            return _end(view)
        if view.models:
            output.table(text.MODEL_HEAD, [text.model_row(model, view.taken) for model in view.models])
        else:
            output.line("no model is stored there")
        _print_hosts(view)
        return _end(view)


@images_group.command("list")
@_where_options
@_json_option
def list_images_command(hosts: str, cluster_name: str, demo: bool, here: bool, as_json: bool) -> int:
    """List the images with their digests, their sizes on each host, and what uses them.

    Exit code 3 when a host cannot be reached, or its Docker cannot be asked.
    """
    return asyncio.run(_list_images(Where(Target(hosts, cluster_name, demo), here), as_json))


async def _list_images(where: Where, as_json: bool) -> Exit:
    from sparkrun_tui.cli.text import stores as text

    async with _asked(where) as asked:
        view = asked.view
        if as_json:
            output.as_json({**text.stores_json(view), "images": [text.image_json(image) for image in view.images]})
            return _images_end(view)
        if view.images:
            output.table(text.IMAGE_HEAD, [text.image_row(image, view.taken) for image in view.images])
        else:
            output.line(text.no_images(view))
        _print_hosts(view)
        return _images_end(view)


def _print_hosts(view: StoresView) -> None:
    from sparkrun_tui.cli.text import stores as text

    output.line()
    for line in text.host_lines(view):
        for part in line.split("\n"):
            output.line(part)


# Verification.


@models_group.command("verify")
@click.argument("names", nargs=-1, metavar="[MODEL]...")
@_where_options
@click.option("--offline", is_flag=True, help="Do not ask the Hub which files there should be.")
@_json_option
def verify_models_command(
    names: tuple[str, ...], hosts: str, cluster_name: str, demo: bool, here: bool, offline: bool, as_json: bool
) -> int:
    """Check whether models are whole: by the headers of their files, and by the Hub's list where it answers.

    No weights are read. Exit code 1 when a model is not whole, 3 when a host cannot be reached.
    """
    return asyncio.run(_verify(Where(Target(hosts, cluster_name, demo), here), names, offline, as_json, images=False))


@images_group.command("verify")
@click.argument("names", nargs=-1, metavar="[IMAGE]...")
@_where_options
@click.option("--offline", is_flag=True, help="Do not ask the registries which digests they have.")
@_json_option
def verify_images_command(
    names: tuple[str, ...], hosts: str, cluster_name: str, demo: bool, here: bool, offline: bool, as_json: bool
) -> int:
    """Check whether all hosts have the same image under a name, by digest, and whether the registry has a newer one.

    Exit code 1 when hosts have different ones, 3 when a host cannot be reached.
    """
    return asyncio.run(_verify(Where(Target(hosts, cluster_name, demo), here), names, offline, as_json, images=True))


async def _verify(where: Where, names: Sequence[str], offline: bool, as_json: bool, *, images: bool) -> Exit:
    import os

    from sparkrun_tui.cli.text import stores as text
    from sparkrun_tui.launch.stores.verify import Verdict, verify_images, verify_models
    from sparkrun_tui.remote.hub.token import hub_token

    def done(checked: Checked) -> None:
        if not as_json:
            output.line(text.checked_line(checked))

    async with _asked(where) as asked:
        view = asked.view
        _insist_on_names(names, view, images=images)
        if images:
            found = await verify_images(view, asked.cluster, asked.services, names, ask_registry=not offline, done=done)
        else:
            found = await verify_models(
                view,
                asked.cluster,
                asked.services,
                names,
                token=hub_token(os.environ),
                ask_hub=not offline,
                done=done,
            )
        if as_json:
            output.as_json({**text.stores_json(view), "checked": [text.checked_json(checked) for checked in found]})
        else:
            whole = sum(1 for checked in found if checked.verdict is Verdict.WHOLE)
            output.line(f"{whole} of {len(found)} are whole")
            _say_silent(view)
        code = Exit.OK
        if any(checked.verdict in (Verdict.FAULTY, Verdict.UNFINISHED) for checked in found):
            code = Exit.FAILED
        return _end(view, code)


def _insist_on_names(names: Sequence[str], view: StoresView, *, images: bool) -> None:
    """Raises `UsageError` for a name that no host has."""
    from sparkrun_tui.recipe.suggestions import did_you_mean

    what, known, listing = "model", {model.repo for model in view.models}, "`sparkrun-tui models` lists what is there."
    if images:
        what, known, listing = "image", {image.name for image in view.images}, "`sparkrun-tui images` lists them."
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or listing
            raise UsageError(f"there is no {what} `{name}` on these hosts", remedy=hint)


def _say_silent(view: StoresView) -> None:
    for host in view.hosts:
        if host.problem:
            say(f"{host.name}: {host.problem}")


# Removal.


@models_group.command("prune")
@click.argument("names", nargs=-1, metavar="[MODEL]...")
@_prune_options("models")
def prune_models_command(
    names: tuple[str, ...],
    hosts: str,
    cluster_name: str,
    demo: bool,
    here: bool,
    unused: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Remove what broken downloads left, or the named MODELs. What would go is shown first, and asked about.

    What a container uses, what is being transferred, links and files of other users stay. Exit code 1 when something
    stayed that should go, 3 when a host cannot be reached.
    """
    chosen = _Chosen(names, unused, dry_run, yes, as_json, images=False)
    return asyncio.run(_prune(Where(Target(hosts, cluster_name, demo), here), chosen))


@images_group.command("prune")
@click.argument("names", nargs=-1, metavar="[IMAGE]...")
@_prune_options("images")
def prune_images_command(
    names: tuple[str, ...],
    hosts: str,
    cluster_name: str,
    demo: bool,
    here: bool,
    unused: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Remove images that lost their name, or the named IMAGEs. What would go is shown first, and asked about.

    What a container uses stays. Exit code 1 when something stayed that should go, 3 when a host cannot be reached.
    """
    chosen = _Chosen(names, unused, dry_run, yes, as_json, images=True)
    return asyncio.run(_prune(Where(Target(hosts, cluster_name, demo), here), chosen))


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What was asked to be removed, and how."""

    names: tuple[str, ...]
    unused: bool
    dry_run: bool
    yes: bool
    as_json: bool
    images: bool


async def _prune(where: Where, chosen: _Chosen) -> Exit:
    from sparkrun_tui.launch.stores.prune import offer_images, offer_models

    if chosen.names and chosen.unused:
        raise UsageError("give names or --unused", remedy="Named things go whether a recipe names them or not.")
    async with _asked(where) as asked:
        view = asked.view
        _insist_on_names(chosen.names, view, images=chosen.images)
        offer = offer_images(view, chosen.names) if chosen.images else offer_models(view, chosen.names)
        going = [*offer.first, *offer.named]
        if chosen.unused:
            going += offer.unused
        report = None
        if going and not chosen.dry_run:
            report = await _asked_and_pruned(asked, going, offer, chosen)
        return _report_prune(view, going, offer, report, chosen)


async def _asked_and_pruned(asked: _Asked, going: Sequence[Item], offer: Offer, chosen: _Chosen) -> PruneReport:
    """Show what goes, ask, and remove it. Raises `UsageError` when the answer is no."""
    from sparkrun_tui.base.units import format_bytes, format_count
    from sparkrun_tui.cli.prompts import confirm, on_terminal
    from sparkrun_tui.launch.stores.prune import prune, total

    for stay in offer.stays:
        say(stay.text)
    for item in going:
        say(item.text)
    size = format_bytes(total(going))
    if not chosen.yes and not confirm(f"Remove {format_count(len(going), 'thing')}, {size}?"):
        raise UsageError("nothing was removed", remedy="" if on_terminal() else "Run the command again with --yes.")
    return await prune(going, asked.cluster, asked.services)


def _report_prune(
    view: StoresView, going: Sequence[Item], offer: Offer, report: PruneReport | None, chosen: _Chosen
) -> Exit:
    from sparkrun_tui.base.units import format_bytes
    from sparkrun_tui.cli.text import stores as text
    from sparkrun_tui.launch.stores.prune import total

    if chosen.as_json:
        output.as_json(text.prune_json(view, report, going, offer.stays))
    elif report is not None:
        for pruned in report.items:
            output.line(pruned.text)
        output.line(f"gone: {format_bytes(report.freed)}")
    else:
        for stay in offer.stays:
            output.line(stay.text)
        for item in going:
            output.line(f"would go: {item.text}")
        output.line(f"would go: {format_bytes(total(going))}" if going else "there is nothing to remove")
    if not chosen.as_json:
        if offer.unused and not chosen.unused and not chosen.names:
            size = format_bytes(total(offer.unused))
            say(f"{len(offer.unused)} more that no recipe names and no container uses, {size}: see --unused --dry-run")
        _say_silent(view)
    code = Exit.OK
    if offer.stays or (report is not None and not report.complete):
        code = Exit.FAILED
    if report is not None and report.unclear:
        code = Exit.HOST
    return _end(view, code)
