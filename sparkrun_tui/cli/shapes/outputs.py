"""What each command prints with `--json`. A command that is not named here has no `--json`, or the tests fail."""

from __future__ import annotations

from typing import Any

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.cli.shapes.bench import BenchJson, ComparedJson
from sparkrun_tui.cli.shapes.hosts import (
    AnswerJson,
    CheckedHost,
    ClusterJson,
    FleetJson,
    PathsJson,
    RemovedJson,
    SilentHost,
    SnippetJson,
    StoppedJson,
)
from sparkrun_tui.cli.shapes.launches import CauseJson, LogLineJson, PastJson, PlanJson
from sparkrun_tui.cli.shapes.recipes import EstimateJson, FindingJson, RecipeRow, ShownRecipe, WrittenJson
from sparkrun_tui.cli.shapes.stores import (
    ImagesJson,
    ModelsJson,
    PruneJson,
    RegistryJson,
    UpdatedJson,
    VerifyJson,
)
from sparkrun_tui.launch.record.events import AnyEvent


@dataclass(frozen=True, slots=True)
class Output:
    """A document of this shape, or where `lines` holds, one such document on each line."""

    shape: Any
    lines: bool = False


OUTPUTS = {
    "list": Output(list[RecipeRow]),
    "search": Output(list[RecipeRow]),
    "show": Output(ShownRecipe),
    "recipe validate": Output(list[FindingJson]),
    "recipe vram": Output(EstimateJson),
    "recipe new": Output(WrittenJson),
    "recipe export": Output(WrittenJson),
    "run": Output(AnyEvent | LogLineJson, lines=True),
    "run --dry-run": Output(PlanJson),
    "status": Output(FleetJson),
    "logs": Output(LogLineJson, lines=True),
    "diagnose": Output(list[CauseJson]),
    "stop": Output(list[StoppedJson]),
    "ask": Output(AnswerJson),
    "bench run": Output(BenchJson),
    "bench list": Output(list[BenchJson]),
    "bench show": Output(BenchJson),
    "bench compare": Output(ComparedJson),
    "snippet": Output(SnippetJson),
    "models": Output(ModelsJson),
    "models list": Output(ModelsJson),
    "models verify": Output(VerifyJson),
    "models prune": Output(PruneJson),
    "images": Output(ImagesJson),
    "images list": Output(ImagesJson),
    "images verify": Output(VerifyJson),
    "images prune": Output(PruneJson),
    "history": Output(list[PastJson]),
    "history list": Output(list[PastJson]),
    "history show": Output(PastJson),
    "history replay": Output(AnyEvent | LogLineJson, lines=True),
    "history export": Output(WrittenJson),
    "cluster list": Output(list[ClusterJson]),
    "cluster show": Output(ClusterJson),
    "cluster add": Output(ClusterJson),
    "cluster use": Output(ClusterJson),
    "cluster remove": Output(RemovedJson),
    "cluster check": Output(list[SilentHost | CheckedHost]),
    "registry list": Output(list[RegistryJson]),
    "registry add": Output(RegistryJson),
    "registry remove": Output(RemovedJson),
    "registry enable": Output(RegistryJson),
    "registry disable": Output(RegistryJson),
    "registry update": Output(list[UpdatedJson]),
    "config path": Output(PathsJson),
}
"""By the words of the command, and by an option where that changes the shape."""
