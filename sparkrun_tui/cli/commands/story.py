"""`demo-story`: a whole session on the demo cluster as plain text, for use without a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError, RecipeError
from sparkrun_tui.base.units import format_gib
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.cli import output
from sparkrun_tui.cli.exits import Exit

if TYPE_CHECKING:
    from sparkrun_tui.demo.cluster import DemoCluster
    from sparkrun_tui.launch.launcher import Launcher
    from sparkrun_tui.launch.plan.plan import LaunchPlan
    from sparkrun_tui.launch.run.launch import Launch
    from sparkrun_tui.memory.result import Estimate
    from sparkrun_tui.recipe.values.rendered import Rendered

_FAVOURITES = ("qwen3-1.7b-vllm", "qwen3-1.7b-llama-cpp")
_QUERY = "qwen3 1.7b"
_QUESTION = "What is a DGX Spark?"
_TOKENS = 60
_READY_WITHIN = 120.0


@click.command("demo-story")
@click.option("--recipe", "name", default="", metavar="NAME", help="Use this recipe.")
@click.option("--speed", type=click.FloatRange(0.1, 1000.0), default=1.0, help="How many times faster than real time.")
def story_command(name: str, speed: float) -> int:
    """Find a recipe, size it, launch it on two simulated Sparks, send it a prompt, come back to it, stop it."""
    return asyncio.run(_story(name, speed))


async def _story(name: str, speed: float) -> Exit:
    from sparkrun_tui.demo.cluster import DemoCluster
    from sparkrun_tui.launch.launcher import Launcher

    settings = Settings()
    output.line("DEMO: two simulated DGX Sparks inside this process; nothing is downloaded and no host is touched.")
    rendered = _find(name, settings)
    async with DemoCluster(speed, settings, [rendered.recipe], visitors=False) as demo:
        launcher = Launcher(settings, demo.services)
        try:
            await launcher.probe(demo.cluster)
            rendered = _weigh(launcher, demo, rendered)
            plan = launcher.plan(rendered, demo.cluster)
            _show_plan(plan)
            launch = await _launch(launcher, plan)
            await _ask(demo, launch)
        finally:
            # As when the app quits: the launch keeps running.
            await launcher.close()
        await _come_back(demo, settings)
    _heading("The end. On real Sparks: sparkrun-tui cluster add mine HOST1,HOST2, then sparkrun-tui")
    return Exit.OK


def _heading(text: str) -> None:
    output.line()
    output.line(f"== {text}")


def _indented(lines: Iterable[str]) -> None:
    for text in lines:
        output.line(f"   {text}" if text else "")


def _find(name: str, settings: Settings) -> Rendered:
    """Search as in the search box, and choose one of the recipes found. Raises `RecipeError` when there is none."""
    from sparkrun_tui.cli.context import found_recipe
    from sparkrun_tui.cli.text.entries import entry_row
    from sparkrun_tui.engines.search_words import search_words
    from sparkrun_tui.recipe.search.index import Index
    from sparkrun_tui.recipe.search.listing import list_recipes
    from sparkrun_tui.recipe.values.overrides import render

    query = name or _QUERY
    _heading(f"Find: {shell.words(['sparkrun-tui', 'search', query])}")
    listing = list_recipes(settings, search_words, budget=30.0)
    found = Index(listing.entries).search(query)
    _indented("  ".join(entry_row(entry)) for entry in found[:6])
    names = [entry.name for entry in found]
    if not name and not names:
        raise RecipeError(f"no recipe matches `{query}`", remedy="Check that the recipes/ folder is there.")
    chosen = name or _favourite(names)
    return render(found_recipe(chosen, settings), {}, settings.defaults)


def _favourite(names: list[str]) -> str:
    """The first favourite among these names, else the first name."""
    for favourite in _FAVOURITES:
        if favourite in names:
            return favourite
    return names[0]


def _weigh(launcher: Launcher, demo: DemoCluster, rendered: Rendered) -> Rendered:
    """Print the verdicts, and what changing one value does to them; returns the recipe with that change."""
    from sparkrun_tui.cli.text.recipes import estimate_lines
    from sparkrun_tui.recipe.values.overrides import render

    _heading(f"Does it fit? {rendered.recipe.name} on {', '.join(demo.cluster.hosts)}")
    before = _estimate(launcher, demo, rendered)
    _indented(estimate_lines(before))
    change = _change(rendered)
    if change is None:
        return rendered
    key, value = change
    changed = render(rendered.recipe, {key: value})
    after = _estimate(launcher, demo, changed)
    _heading(f"Change something: {shell.override(key, value)}")
    for title, old, new in (
        ("starts", before.starts, after.starts),
        ("context", before.context, after.context),
        ("headroom", before.headroom, after.headroom),
    ):
        _indented([f"{title + ':':10}{old.text}  ->  {new.text}"])
    return changed


def _change(rendered: Rendered) -> tuple[str, str] | None:
    """The key of the recipe's context length and half its value; None when it has none."""
    for key in ("max_model_len", "ctx_size"):
        link = rendered.chain.get(key)
        if link is not None and str(link.value.data).isdecimal():
            return key, str(int(str(link.value.data)) // 2)
    return None


def _estimate(launcher: Launcher, demo: DemoCluster, rendered: Rendered) -> Estimate:
    from sparkrun_tui.launch.sizing.evaluation import judged_size
    from sparkrun_tui.launch.sizing.sizing import host_memory

    names = launcher.plan(rendered, demo.cluster).host_names
    return judged_size(rendered, [host_memory(launcher.facts[name]) for name in names])


def _show_plan(plan: LaunchPlan) -> None:
    from sparkrun_tui.launch.plan.dry_run import lines

    _heading("Plan: what would be done, as commands to paste (sparkrun-tui run --dry-run)")
    _indented(lines(plan))
    if plan.errors:
        raise LaunchError(plan.errors[0].message, remedy=plan.errors[0].remedy)


async def _launch(launcher: Launcher, plan: LaunchPlan) -> Launch:
    """Launch and print each event. Raises `LaunchError` when the launch does not come up."""
    from sparkrun_tui.launch.record.events import LaunchStatus
    from sparkrun_tui.launch.record.narration import Narrator, diagnosis_lines

    _heading(f"Launch: {shell.words(['sparkrun-tui', 'run', plan.rendered.recipe.name])}")
    launch = launcher.launch(plan)
    narrator = Narrator()
    async with asyncio.timeout(_READY_WITHIN):
        async for event in launch.events():
            _indented(narrator.lines(event))
            if launch.state.status is LaunchStatus.READY:
                break
    state = launch.state
    if state.status is not LaunchStatus.READY or state.endpoint is None:
        _indented(diagnosis_lines(state.diagnosis) if state.diagnosis else [])
        raise LaunchError(f"the demo launch ended as {state.status}: {state.detail}")
    return launch


async def _ask(demo: DemoCluster, launch: Launch) -> None:
    """Send one prompt to the endpoint and print the answer. Raises `LaunchError` when it is empty."""
    from sparkrun_tui.launch.chat.pieces import Asked
    from sparkrun_tui.launch.prompting import Prompt

    state = launch.state
    model = state.endpoint.model if state.endpoint else ""
    _heading(f"Ask it: {_QUESTION}")
    asked = Asked.once(_QUESTION, max_tokens=_TOKENS)
    prompt = Prompt(demo.services, launch.plan.serve.ready.host, state.port, model, asked)
    text = "".join([piece async for piece in prompt])
    if not text.strip():
        raise LaunchError("the endpoint gave an empty answer")
    figures = prompt.figures
    _indented([text, f"({figures.tokens} tokens, the first after {figures.first_after or 0.0:.1f} s)"])


async def _come_back(demo: DemoCluster, settings: Settings) -> None:
    """Find the workload again, attach to its logs and stop it. Raises `LaunchError` when one of these fails."""
    from sparkrun_tui.fleet.survey import survey
    from sparkrun_tui.launch.launcher import Launcher
    from sparkrun_tui.launch.record.events import LaunchStatus

    _heading("Come back later: sparkrun-tui status")
    launcher = Launcher(settings, demo.services)
    try:
        view = await survey(demo.cluster, demo.services)
        for item in view.workloads:
            ranks = ", ".join(rank.host for rank in item.ranks)
            _indented([f"{item.launch_id}  {item.recipe}  {item.health}  on {ranks}, port {item.port}"])
        if not view.workloads:
            raise LaunchError("the workload was not found again")
        launch = await launcher.attach(view.workloads[0], demo.cluster)
        state = await launch.wait_ready()
        if state.status is not LaunchStatus.READY:
            raise LaunchError(f"after attaching again it is {state.status}: {state.detail}")
        kept = sum(buffer.end for buffer in launch.logs.values())
        _indented([f"attached: {state.status}, {kept} lines of its log read"])
        _heading(f"Stop: sparkrun-tui stop {launch.launch_id}")
        stopped = await launch.stop()
        after = await survey(demo.cluster, demo.services)
        if stopped.status is not LaunchStatus.STOPPED or after.workloads:
            raise LaunchError(f"it was not stopped: {stopped.status} {stopped.detail}")
        facts = [host.facts for host in after.hosts if host.facts is not None]
        free = ", ".join(f"{each.name} {format_gib(each.memory_available)}" for each in facts)
        _indented([f"stopped; nothing is left on the hosts; free memory: {free}"])
    finally:
        await launcher.close()
