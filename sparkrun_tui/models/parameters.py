"""Counts a model's parameters by class, for estimates without tensor headers."""

from __future__ import annotations

from sparkrun_tui.base.by_identity import ByIdentity
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.modules.listing import modules_of
from sparkrun_tui.models.modules.module import Kind, count


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters by class (counts): embeddings and head, attention and states, dense and expert feed-forward.

    `drafter` is one multi-token-prediction layer of this model (whether or not the checkpoint has one),
    not part of `total`.
    """

    embedding: int
    head: int
    mixing: int
    dense: int
    experts: int
    drafter: int

    @property
    def total(self) -> int:
        """All parameters but the drafter's."""
        return self.embedding + self.head + self.mixing + self.dense + self.experts


_CLASSES = {
    Kind.EMBEDDING: "embedding",
    Kind.HEAD: "head",
    Kind.ATTENTION: "mixing",
    Kind.RECURRENCE: "mixing",
    Kind.DENSE: "dense",
    Kind.SHARED: "dense",
    Kind.EXPERTS: "experts",
}


def count_parameters(facts: ModelFacts) -> Parameters | None:
    """Count the parameters of a model from its modules, None when a size is missing.

    Norms, biases and routers are left out (well below one per cent).
    """
    objects = (facts.config, facts.gguf, facts.layers, facts.mtp)
    values = (facts.model_type, facts.hidden, facts.vocab, facts.intermediate, facts.experts, facts.expert_intermediate)
    return _COUNTED.get(objects, values, lambda: _counted(facts))


_COUNTED: ByIdentity[Parameters | None] = ByIdentity(128)


def _counted(facts: ModelFacts) -> Parameters | None:
    """Add the modules up."""
    modules = modules_of(facts)
    if modules is None:
        return None
    sums = dict.fromkeys(_CLASSES.values(), 0)
    for module in modules.text:
        name = _CLASSES.get(module.kind)
        if name is not None and not module.made:
            sums[name] += module.elements
    return Parameters(**sums, drafter=count(modules.drafter))
