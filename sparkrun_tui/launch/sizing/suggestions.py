"""Changes that make a recipe fit: each is applied and estimated before it is offered.

The estimate proposes single values (`memory.*.advice`). A proposal is offered only when it has an effect, ends without
a verdict that is bad, keeps the context that was asked for unless it changes just that, asks for no more than the model
was made for, and needs no hosts that are not there. Where one change leads to the next, they are offered together.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.command.added import added_text, has_place, with_value
from sparkrun_tui.launch.sizing.evaluation import CANNOT_RUN, Evaluation, Target, evaluate
from sparkrun_tui.launch.sizing.sizing import FactsStore, engine_settings, model_facts
from sparkrun_tui.memory.engines import model_of
from sparkrun_tui.memory.result import Estimate, Level, Proposal, badness

_MOST_STEPS = 4
_MOST_OFFERED = 9
_LEAST_CONTEXT = 2048
"""A shorter context than this, in tokens, is not offered."""
CONTEXT_KEYS = frozenset({"max_model_len", "ctx_size"})


@dataclass(frozen=True, slots=True)
class Change:
    """One value of a suggestion: its key, the present and the new value, and the flag where the command has none."""

    key: str
    old: str
    new: str
    flag: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Values to set together, what they achieve, and the overrides with them."""

    changes: tuple[Change, ...]
    why: str
    overrides: Mapping[str, str]
    context: int = 0
    """The context in tokens that fits then."""


def suggestions(evaluation: Evaluation, target: Target, store: FactsStore | None = None) -> tuple[Suggestion, ...]:
    """The changes that would help a recipe on a target, the most helpful first; empty where all is well.

    `store` None means the facts of this machine. Every candidate is estimated: some milliseconds each.
    """
    work = tried_in_steps(evaluation, target, store)
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: tuple[Suggestion, ...] = end.value
            return found


def tried_in_steps(
    evaluation: Evaluation, target: Target, store: FactsStore | None = None
) -> Generator[None, None, tuple[Suggestion, ...]]:
    """The same, as a generator that pauses after each estimate, so that an app can handle keys in between."""
    if evaluation.errors and not _short_of_hosts(evaluation):
        return ()
    found: list[Suggestion] = []
    seen: set[tuple[tuple[str, str], ...]] = set()
    for proposal in evaluation.estimate.proposals:
        suggestion = yield from _worked_out(evaluation, proposal, target, store)
        if suggestion is None:
            continue
        values = tuple(sorted(suggestion.overrides.items()))
        if values not in seen:
            seen.add(values)
            found.append(suggestion)
    offered = [one for one in found if not any(_as_good(other, one) for other in found)]
    return tuple(offered[:_MOST_OFFERED])


def _as_good(fewer: Suggestion, more: Suggestion) -> bool:
    """Whether fewer of the same changes achieve as much."""
    keys, all_keys = {change.key for change in fewer.changes}, {change.key for change in more.changes}
    return keys < all_keys and fewer.context >= more.context


def _short_of_hosts(evaluation: Evaluation) -> bool:
    return all(problem.code == CANNOT_RUN for problem in evaluation.errors)


def _worked_out(
    evaluation: Evaluation, first: Proposal, target: Target, store: FactsStore | None
) -> Generator[None, None, Suggestion | None]:
    """A proposal with all that it takes to end well; None where it does not. Pauses after each estimate."""
    rendered = evaluation.rendered
    overrides: Mapping[str, str] = dict(rendered.overrides)
    changes: dict[str, Change] = {}
    now, proposal = evaluation, first
    for _ in range(_MOST_STEPS):
        following = with_value(now.rendered, overrides, proposal.key, proposal.new)
        if following is None:
            return None
        flag = ""
        if not has_place(now.rendered, proposal.key):
            flag = added_text(now.rendered, proposal.key, proposal.new)
        before = changes.get(proposal.key)
        old = proposal.old if before is None else before.old
        changes[proposal.key] = Change(proposal.key, old, proposal.new, flag)
        overrides = following
        now = _evaluated(evaluation, overrides, target, store, checks=False)
        yield
        if not _is_bad(now.estimate) and now.level is not Level.BAD:
            break
        if now.level is Level.UNKNOWN or not now.estimate.proposals:
            return None
        proposal = now.estimate.proposals[0]
    found = tuple(changes.values())
    if not _helps(evaluation, now, found, target) or _beyond_model(now, store):
        return None
    checked = _evaluated(evaluation, overrides, target, store, checks=True)
    yield
    known = {problem.message for problem in evaluation.errors}
    if any(problem.message not in known for problem in checked.errors):
        return None
    return Suggestion(found, _why(first, found, now.estimate), overrides, _context(now))


def _evaluated(
    evaluation: Evaluation, overrides: Mapping[str, str], target: Target, store: FactsStore | None, *, checks: bool
) -> Evaluation:
    rendered = evaluation.rendered
    return evaluate(
        rendered.original, overrides, target, user_defaults=rendered.user_defaults, store=store, checks=checks
    )


def _is_bad(found: Estimate) -> bool:
    return Level.BAD in (found.starts.level, found.context.level, found.headroom.level)


def _helps(before: Evaluation, after: Evaluation, changes: tuple[Change, ...], target: Target) -> bool:
    """Whether a change is worth offering."""
    old, new = before.estimate, after.estimate
    if _is_bad(new) or Level.UNKNOWN in (new.starts.level, new.context.level):
        return False
    if after.hosts > target.available or any(problem.code == CANNOT_RUN for problem in after.problems):
        return False
    for change in changes:
        if change.key in CONTEXT_KEYS and _asked(after) < min(_LEAST_CONTEXT, _asked(before) or _LEAST_CONTEXT):
            return False
    changes_context = any(change.key in CONTEXT_KEYS for change in changes)
    if not changes_context and _asked(before) and (new.max_context or 0) < _asked(before):
        return False
    if badness(new.level) < badness(old.level):
        return True
    return (new.max_context or 0) > (old.max_context or 0) or _sum(new) < _sum(old)


def _context(evaluation: Evaluation) -> int:
    """The context in tokens that is served."""
    longest = evaluation.estimate.max_context or 0
    asked = _asked(evaluation)
    return min(asked, longest) if asked else longest


def _beyond_model(evaluation: Evaluation, store: FactsStore | None) -> bool:
    """Whether the context that is asked for is longer than the model was made for."""
    longest = model_facts(evaluation.rendered, store).max_length
    return longest is not None and _asked(evaluation) > longest


def _sum(found: Estimate) -> int:
    return sum(badness(verdict.level) for verdict in (found.starts, found.context, found.headroom))


def _asked(evaluation: Evaluation) -> int:
    """The context in tokens that the settings ask for; 0 where the engine chooses."""
    try:
        settings = engine_settings(evaluation.rendered)
    except SparkrunError:
        return 0
    return max(model_of(settings.engine).length(settings), 0)


def _why(first: Proposal, changes: tuple[Change, ...], after: Estimate) -> str:
    """What a suggestion achieves, in words."""
    if len(changes) == 1 and changes[0].new == first.new:
        return first.why
    return f"{after.context.text}, {after.headroom.text}"
