"""Decides which entries of a recipe's `overrides` hold for a launch, and puts their values in force.

The one place where conditions are judged. Conditions read the recipe without any of these values, so that their order
does not matter; of several that hold, the later one wins. An entry whose condition is not known here does not hold:
values for another launch must not be taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sparkrun_tui.base.gpus import compute_capability
from sparkrun_tui.base.reading.numbers import decimal, decimal_of, whole_of
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.recipe.model import Layer, Problem, Recipe, Severity, Value
from sparkrun_tui.recipe.suggestions import did_you_mean
from sparkrun_tui.recipe.values.masking import shown
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Decision, Rendered, value_text

DEGREES: Mapping[str, str] = {
    "tp": "tensor_parallel",
    "pp": "pipeline_parallel",
    "dp": "data_parallel",
    "ep": "expert_parallel",
    "cp": "context_parallel",
}
"""Conditions about the degrees of parallelism, and the keys that they read."""
SHAPE = frozenset({*DEGREES, "nodes", "gpus_per_node"})
HARDWARE = frozenset({"platform", "vendor", "accelerator", "arch", "capability", "memory_gb"})
SELECTORS = frozenset({*SHAPE, *HARDWARE, "runtime", "runtime_family", "config"})
"""Everything that a condition may ask about."""
_ORDER = frozenset({"gt", "gte", "lt", "lte"})
OPERATORS = frozenset({"eq", "ne", "in", "not_in", *_ORDER})
_NAMES = frozenset({"runtime", "runtime_family", "platform", "vendor", "accelerator", "arch", "capability"})
"""Conditions whose values have no order."""
_ARCH = late_regex(r"sm_?(\d{2,3})[af]?")
_CAPABILITY = late_regex(r"(\d{1,2})\.(\d)")

_SPARK_GB = 121.0
_MOST_SHOWN = 60
"""The most characters of a value that a reason shows."""
_MOST_READ = 4096
"""The most characters of a value that are searched for secrets before it is cut."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """A host as conditions see it: the name of its GPU (empty without one), bytes of its memory, number of GPUs."""

    name: str
    gpu: str
    memory: int | None = None
    gpus: int = 1


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A launch as conditions see it: the hosts that it uses, and the words for its engine."""

    hosts: tuple[Hardware, ...]
    runtimes: frozenset[str] = frozenset()
    family: str = ""

    @property
    def gpus_per_node(self) -> int:
        """The GPUs that every host has."""
        return min((host.gpus for host in self.hosts if host.gpus > 0), default=1)


def in_force(rendered: Rendered, around: Surroundings) -> Rendered:
    """The recipe with the values of the entries that hold in these surroundings, and with all decisions.

    Whatever was in force before is left out first, so that it may be called again with other surroundings.
    """
    recipe = rendered.original
    if not recipe.layers:
        return rendered
    plain = declared(rendered)
    problems: list[Problem] = []
    decisions = []
    holding = []
    for layer in recipe.layers:
        decision = _decide(layer, plain, around, problems)
        decisions.append(decision)
        if decision.holds:
            holding.append(layer)
    again = with_layers(rendered, holding)
    return replace(again, problems=(*again.problems, *problems), decisions=tuple(decisions))


def declared(rendered: Rendered) -> Rendered:
    """The recipe without any of its conditional values."""
    if rendered.recipe.declared is None:
        return rendered
    return with_layers(rendered, ())


def with_layers(rendered: Rendered, layers: Sequence[Layer], *, values_alone: bool = False) -> Rendered:
    """The recipe as it would be if these of its entries held, whatever was in force before; see `render`."""
    recipe = _with_layers(rendered.original, layers)
    return render(recipe, rendered.overrides, rendered.user_defaults, values_alone=values_alone)


def _with_layers(recipe: Recipe, layers: Sequence[Layer]) -> Recipe:
    if not layers:
        return recipe
    defaults = dict(recipe.defaults)
    env = dict(recipe.env)
    container = recipe.container
    spots = dict(recipe.spots)
    for layer in layers:
        defaults.update(layer.defaults)
        env.update(layer.env)
        container = layer.container or container
        for name, value in layer.defaults.items():
            if value.spot is not None:
                spots[f"defaults.{name}"] = value.spot
        for name, value in layer.env.items():
            if value.spot is not None:
                spots[f"env.{name}"] = value.spot
        if layer.container and layer.spot is not None:
            spots["container"] = layer.spot
    return replace(recipe, defaults=defaults, env=env, container=container, spots=spots, declared=recipe)


def not_judged(layer: Layer) -> list[str]:
    """Why the conditions of an entry cannot be judged by this program, in words; empty when they can."""
    reasons = []
    for selector, test in layer.when.items():
        if selector not in SELECTORS:
            reasons.append(f"`{str(selector)[:40]}` is not a condition that is known here")
        elif selector == "config":
            for key, inner in _mapping(test).items():
                reasons += _unknown_operators(f"config.{key}", inner)
        else:
            reasons += _unknown_operators(selector, test)
    return reasons


def _unknown_operators(selector: str, test: object) -> list[str]:
    reasons = []
    for operator, _ in _compiled(test):
        if operator not in OPERATORS:
            reasons.append(f"`{shorten(operator, 40)}` at `{selector}` is not a comparison that is known here")
        elif operator in _ORDER and selector in _NAMES:
            reasons.append(f"`{selector}` is a name, which `{operator}` cannot compare")
    return reasons


def _decide(layer: Layer, rendered: Rendered, around: Surroundings, problems: list[Problem]) -> Decision:
    reasons = not_judged(layer)
    if reasons:
        near = ""
        for selector in layer.when:
            near = near or (did_you_mean(selector, SELECTORS) if selector not in SELECTORS else "")
        message = f"overrides[{layer.number}] never holds: {'; '.join(reasons)}"
        problems.append(Problem(Severity.WARNING, "overrides", message, layer.spot, near))
        return Decision(layer, False, "; ".join(reasons))
    failed = []
    for selector, test in layer.when.items():
        if selector == "config":
            for key, inner in _mapping(test).items():
                actual = rendered.get(key)
                if not _meets(key, inner, actual, unset_counts=True):
                    failed.append(f"{key} is {_is_now(rendered, key)}")
        elif selector not in HARDWARE:
            actual = _of_launch(selector, rendered, around)
            if not _meets(selector, test, actual):
                failed.append(f"{selector} is {_words(actual)}")
    if failed:
        return Decision(layer, False, ", ".join(failed))
    return _by_hardware(layer, around, problems)


def _is_now(rendered: Rendered, key: str) -> str:
    """A value for a reason: without secrets, and cut, since each of many entries may ask about the same long one."""
    link = rendered.chain.get(key)
    if link is None or link.value.data is None:
        return "not set"
    text = value_text(link.value)
    return shorten(shown(key, Value(text[:_MOST_READ], text[:_MOST_READ])), _MOST_SHOWN)


def _by_hardware(layer: Layer, around: Surroundings, problems: list[Problem]) -> Decision:
    """The decision where everything but the hardware is met: all hosts must give the same answer."""
    tests = {selector: test for selector, test in layer.when.items() if selector in HARDWARE}
    if not tests:
        return Decision(layer, True, layer.when_text)
    yes: list[str] = []
    no: list[str] = []
    for host in around.hosts:
        facts = facts_of(host)
        met = all(_meets(selector, test, facts.get(selector)) for selector, test in tests.items())
        (yes if met else no).append(host.name)
    if yes and no:
        message = (
            f"overrides[{layer.number}] ({layer.when_text}) holds on {', '.join(yes)} and not on {', '.join(no)}:"
            " a launch has one set of values"
        )
        remedy = "choose hosts of one kind, or write a recipe for each kind"
        problems.append(Problem(Severity.ERROR, "overrides-split", message, layer.spot, remedy))
        return Decision(layer, False, "the hosts differ")
    if not yes:
        found = "; ".join(sorted({_facts_text(facts_of(host), tests) for host in around.hosts})) or "no host"
        return Decision(layer, False, found)
    return Decision(layer, True, layer.when_text)


def _facts_text(facts: Mapping[str, object], tests: Mapping[str, object]) -> str:
    return ", ".join(f"{selector} is {_words(facts.get(selector))}" for selector in tests)


def _words(actual: object) -> str:
    if actual is None:
        return "not known"
    if isinstance(actual, frozenset):
        return ", ".join(sorted(actual)) or "none"
    if isinstance(actual, float):
        return f"{actual:g}"
    return str(actual)


def facts_of(host: Hardware) -> dict[str, object]:
    """What conditions may ask about a host's GPU; None where it is not known."""
    if not host.gpu:
        return dict.fromkeys(HARDWARE)
    model = _model(host.gpu)
    vendor = "amd" if re.search(r"instinct|radeon|\bmi\d{3}", host.gpu, re.IGNORECASE) else "nvidia"
    memory = None
    if model == "gb10":
        memory = _SPARK_GB
    elif host.memory is not None:
        memory = round(host.memory / (1 << 30), 1)
    arch = None
    known = compute_capability(host.gpu)
    if vendor == "nvidia" and known is not None:
        arch = f"sm_{known[0]}{known[1]}"
    capabilities = {"rocm"} if vendor == "amd" else {"cuda"}
    if model == "gb10":
        capabilities.add("unified-memory")
    platform = None
    if vendor == "nvidia":
        platform = "dgx-spark" if model == "gb10" else "nvidia-generic"
    return {
        "platform": platform,
        "vendor": vendor,
        "accelerator": model,
        "arch": arch,
        "capability": frozenset(capabilities),
        "memory_gb": memory,
    }


def _model(gpu: str) -> str:
    """A GPU's name in the form of the format: `NVIDIA GB10` is `gb10`."""
    name = re.sub(r"^(nvidia|tesla|rtx|amd instinct|instinct) ", "", gpu.strip(), flags=re.IGNORECASE)
    return name.lower().replace(" ", "-")


def _of_launch(selector: str, rendered: Rendered, around: Surroundings) -> object:
    if selector == "nodes":
        return len(around.hosts)
    if selector == "gpus_per_node":
        return around.gpus_per_node
    if selector == "runtime":
        return around.runtimes
    if selector == "runtime_family":
        return around.family or None
    return whole_of(rendered.get(DEGREES[selector]), least=1) or 1


def _mapping(test: object) -> Mapping[str, object]:
    return {str(key): value for key, value in test.items()} if isinstance(test, Mapping) else {}


def _compiled(test: object) -> list[tuple[str, object]]:
    """A condition as comparisons: a value means equal, a list any of, a mapping names the comparisons."""
    if isinstance(test, Mapping):
        return [(str(operator), operand) for operator, operand in test.items()]
    if isinstance(test, list):
        return [("in", test)]
    return [("eq", test)]


def _meets(selector: str, test: object, actual: object, *, unset_counts: bool = False) -> bool:
    """Whether a value meets a condition. What is not known meets none, but for unequal where it is surely not set."""
    for operator, operand in _compiled(test):
        if actual is None:
            if not (unset_counts and operator in ("ne", "not_in")):
                return False
        elif not _compare(selector, operator, operand, actual):
            return False
    return True


def _compare(selector: str, operator: str, operand: object, actual: object) -> bool:
    if operator in _ORDER:
        left, right = _normal(selector, actual), _normal(selector, operand)
        if not isinstance(left, float) or not isinstance(right, float):
            return False
        results = {"gt": left > right, "gte": left >= right, "lt": left < right, "lte": left <= right}
        return results[operator]
    several = operand if isinstance(operand, list) else [operand]
    wanted = [_normal(selector, item) for item in several]
    values = actual if isinstance(actual, frozenset) else [actual]
    equal = any(_same(_normal(selector, value), item) for value in values for item in wanted)
    return equal if operator in ("eq", "in") else not equal


def _same(left: object, right: object) -> bool:
    # In Python `True` equals 1.
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _normal(selector: str, value: object) -> object:
    """A value in the form in which two spellings of the same are equal."""
    if value is None or isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if selector == "arch":
        found = _ARCH.fullmatch(text)
        if found is not None:
            return f"sm_{found[1]}"
        capability = _CAPABILITY.fullmatch(text)
        return f"sm_{capability[1]}{capability[2]}" if capability is not None else text
    number = decimal_of(value)
    if number is None:
        number = decimal(text)
    return text if number is None else number
