"""Consent: recipes from registries are asked about once, again when they change, and never launched without."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.launch.plan.consent import consent_needed, give, question
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.trust import consented_variables
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered
from tests.launch.fakes import SOLO, FakeCluster, rendered
from tests.launch.virtual import virtual_time

HOSTILE = SOLO + "env: {A: '${AWS_SECRET_ACCESS_KEY}'}\npost_commands: [rm -rf x]\n"
ENVIRON = {"AWS_SECRET_ACCESS_KEY": "canary-0123456789"}


def foreign(text: str) -> Rendered:
    return render(load_text(text, Source(SourceKind.REGISTRY, "/cache/arena/solo.yaml", "arena")), {})


@virtual_time
async def test_a_registrys_recipe_is_launched_once_agreed_to_and_not_before(cluster: FakeCluster) -> None:
    launcher = cluster.launcher(ENVIRON)
    what = foreign(SOLO)
    assert consent_needed(what, ENVIRON), "even a plain one runs its command on the hosts"
    with pytest.raises(LaunchError, match="comes from the registry arena") as refused:
        launcher.launch(launcher.plan(what, cluster.cluster))
    assert "--yes" in refused.value.remedy
    assert launcher.launches == {} and cluster[1].actions == []
    give(what)
    assert consent_needed(what, ENVIRON) == ()
    launch = launcher.launch(launcher.plan(what, cluster.cluster))
    await launch.wait_ready()
    await launch.stop()


def test_a_changed_file_is_asked_about_again_and_says_so() -> None:
    assert "for the first time" in question(foreign(SOLO))
    give(foreign(SOLO))
    changed = foreign(SOLO + "pre_exec: [pip install evil]\n")
    assert any("pip install evil" in demand.detail for demand in consent_needed(changed, ENVIRON))
    assert "has changed since" in question(changed)


def test_the_most_serious_comes_first_and_no_value_is_shown(cluster: FakeCluster) -> None:
    wanted = consent_needed(foreign(HOSTILE), ENVIRON)
    assert [demand.is_risky for demand in wanted] == sorted((demand.is_risky for demand in wanted), reverse=True)
    assert "canary" not in repr(wanted)
    launcher = cluster.launcher(ENVIRON)
    with pytest.raises(LaunchError, match="AWS_SECRET_ACCESS_KEY") as refused:
        launcher.launch(launcher.plan(foreign(HOSTILE), cluster.cluster))
    assert "runs on the head node itself" in refused.value.what and "canary" not in str(refused.value)


def test_agreeing_to_some_variables_gives_those() -> None:
    what = foreign(HOSTILE)
    give(what, frozenset())
    assert consent_needed(what, ENVIRON) == () and consented_variables(what.recipe) == frozenset()
    give(what)
    assert consented_variables(what.recipe) == {"AWS_SECRET_ACCESS_KEY"}


@virtual_time
async def test_a_mount_that_gives_the_host_away_needs_a_word_of_its_own(cluster: FakeCluster) -> None:
    launcher = cluster.launcher(ENVIRON)
    what = foreign(SOLO + "executor_config: {volumes: ['/etc:/e']}\n")
    give(what)
    plan = launcher.plan(what, cluster.cluster)
    with pytest.raises(LaunchError, match="may not mount /etc") as refused:
        launcher.launch(plan)
    assert "--ignore host-mount" in refused.value.remedy
    launch = launcher.launch(plan, ignored=frozenset({"host-mount"}))
    await launch.wait_ready()
    (container,) = cluster[1].containers.values()
    assert "/etc:/e" in container.body["HostConfig"]["Binds"]
    assert not any("/etc" in action for action in cluster[1].actions if action.startswith("mkdir"))
    await launch.stop()


def test_the_users_own_recipes_are_not_asked_about() -> None:
    assert consent_needed(rendered(HOSTILE), ENVIRON) == ()
