"""A2: a model on a path of the hosts is mounted under the rules for mounts, and never exposes a host."""

from __future__ import annotations

import pytest

from sparkrun_tui.engines.layout.options import mount_problems
from sparkrun_tui.launch.plan.consent import consent_needed
from sparkrun_tui.launch.plan.containers import create_body
from sparkrun_tui.launch.plan.dry_run import offline_plan
from sparkrun_tui.launch.sizing.host_models import digest_of
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Severity, Source, SourceKind
from sparkrun_tui.recipe.names.local_model import LocalModel
from sparkrun_tui.recipe.trust import Kind, demands
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.remote.probe.model_path import FIRST_BYTES, read

FOLDER = "model: {model}\nruntime: vllm\ncontainer: acme/vllm:1\nmax_nodes: 1\ncommand: vllm serve {{model}}\n"


def of_kind(text: str, kind: SourceKind) -> Rendered:
    """A recipe from that kind of source."""
    return render(load_text(text, Source(kind, "/cache/arena/r.yaml", "arena")), {})


EXPOSING = (
    "/", "/etc", "/etc/x", "~/.ssh", "~/.ssh/m.gguf", "/home/ada", "/root/.aws", "/proc/1", "/var", "/srv/.ssh/x",
    "/dev/sda",
)  # fmt: skip


@pytest.mark.parametrize("model", EXPOSING)
def test_what_would_expose_a_host_is_never_mounted(model: str) -> None:
    for kind in (SourceKind.REGISTRY, SourceKind.USER):
        recipe = of_kind(FOLDER.format(model=model), kind).recipe
        assert [problem.code for problem in mount_problems(recipe) if problem.severity is Severity.ERROR] == [
            "model-path"
        ]
        plan = offline_plan(of_kind(FOLDER.format(model=model), kind), None, "abcd2345", {})
        assert plan.broken


def test_a_path_of_a_strangers_recipe_needs_consent() -> None:
    what = of_kind(FOLDER.format(model="/srv/models/a"), SourceKind.REGISTRY)
    (mount,) = [demand for demand in demands(what, {}) if demand.kind is Kind.MOUNT]
    assert mount.is_risky and "/srv/models/a" in mount.title
    (allowed,) = [demand for demand in demands(what, {}, None, ("/srv/models",)) if demand.kind is Kind.MOUNT]
    assert not allowed.is_risky
    assert [problem.code for problem in mount_problems(what.recipe)] == ["host-mount"]
    own = of_kind(FOLDER.format(model="/var/lib/models/a"), SourceKind.USER)
    assert list(mount_problems(own.recipe)) == []


def test_a_strangers_file_is_asked_about() -> None:
    source = Source(SourceKind.PATH, "/elsewhere/r.yaml", stranger=True)
    for model, asked in (("/srv/models/a", True), ("org/name", False)):
        what = render(load_text(FOLDER.format(model=model), source), {})
        assert bool(consent_needed(what, {})) is asked


@pytest.mark.parametrize("key", ["mmproj: /etc/shadow.gguf", "mmproj: ~/.ssh/a.gguf", "mmproj: ../../etc/x.gguf"])
def test_a_projector_is_judged_like_its_model(key: str) -> None:
    text = f"model: /srv/m/a.gguf\nruntime: llama-cpp\ncontainer: acme/llama:1\nmax_nodes: 1\n{key}\n"
    plan = offline_plan(of_kind(text, SourceKind.REGISTRY), None, "abcd2345", {})
    binds = create_body(plan.serve.ranks[0].container)["HostConfig"]["Binds"]
    inside = [bind for bind in binds if "etc" in bind or "ssh" in bind]
    assert plan.broken or not inside


def test_a_placeholder_does_not_hide_a_path() -> None:
    text = "model: '{where}/ssh'\nruntime: vllm\ncontainer: a/b:1\nmax_nodes: 1\ndefaults: {where: /etc}\n"
    assert offline_plan(of_kind(text, SourceKind.REGISTRY), None, "abcd2345", {}).broken


@pytest.mark.parametrize("model", ["/srv/a:/etc:rw", "/srv/$HOME", "/srv/a;b", "/srv/`x`", "/srv/a\\nb", "/srv/../etc"])
def test_a_path_with_a_meaning_elsewhere_is_no_model(model: str) -> None:
    plan = offline_plan(of_kind(FOLDER.format(model=model), SourceKind.USER), None, "abcd2345", {})
    assert plan.broken
    assert all(model not in bind for bind in create_body(plan.serve.ranks[0].container)["HostConfig"]["Binds"])


@pytest.mark.parametrize(
    "text",
    ["", "kind\tanything\nreal\trelative\nend\n", "kind\tfolder\nfile\t-5\tx\nfile\t9\nconfig\t###\nend\n",
     "file\t" + "9" * 400 + "\tx\nend\n"],
)  # fmt: skip
def test_a_host_may_say_anything(text: str) -> None:
    seen = read(text)
    assert seen.sizes.keys() <= {""}
    assert digest_of(LocalModel("/m", "/m", "/m"), seen, "h") is None


def test_a_host_cannot_fill_the_memory() -> None:
    said = "".join(f"file\t{number}\tm-{number}.safetensors\n" for number in range(50_000))
    assert len(read(f"kind\tfolder\n{said}end\n").sizes) <= 2000
    assert FIRST_BYTES * 4 / 3 < 1 << 20
