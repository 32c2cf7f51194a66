"""B5: an error that nobody expected is one plain line with the recipe's name; what has errors cannot be pasted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.cli.main import run
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.plan import dry_run, making
from sparkrun_tui.launch.plan import plan as planning
from sparkrun_tui.recipe import trust
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Problem, Severity, Source, SourceKind
from sparkrun_tui.recipe.registry.registries import add_registry
from sparkrun_tui.recipe.values.overrides import render
from tests.launch.fakes import FakeCluster
from tests.recipe.upstream import Upstream

HEAD = "name: mine\nmodel: org/m\nruntime: vllm\ncommand: vllm serve org/m\n"
PLAIN = HEAD + "container: a/b:1\n"

Call = Callable[..., tuple[int, str, str]]


def broken(*_: object, **__: object) -> object:
    raise ZeroDivisionError("a mistake")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line; gives its code, stdout and stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(list(words), open_app=lambda demo, cluster, query: 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(PLAIN)
    return path


@pytest.mark.parametrize("place", [(planning, "_choose"), (making, "plan_env"), (dry_run, "_lines")])
def test_a_defect_in_the_dry_run_is_one_line(
    place: tuple[object, str], file: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*place, broken)
    code, _, err = call("run", str(file), "--dry-run")
    assert code == 1
    first, *rest = err.strip().split("\n")
    assert first.startswith("sparkrun-tui: internal error: planning the launch of mine failed with ZeroDivisionError")
    assert "a mistake" in first and "Traceback" not in err
    assert rest == ["  this is a defect of sparkrun-tui: please report it with this recipe"]


def test_nor_does_a_launch_end_in_a_traceback(file: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_choose", broken)
    code, _, err = call("run", str(file), "--demo")
    assert code == 1 and "internal error: planning the launch of mine" in err and "Traceback" not in err


def test_the_place_of_a_defect_is_told_to_whoever_asks(file: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_choose", broken)
    monkeypatch.setenv("SPARKRUN_TUI_DEBUG", "1")
    _, _, err = call("run", str(file), "--dry-run")
    assert "Traceback" in err and "in broken" in err


async def test_looking_at_hosts_is_guarded_too(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Launcher(Settings(), cluster.services, {})
    plan = desk.plan(render(load_text(PLAIN), {}), Cluster("c", ("spark-1",)))
    monkeypatch.setattr("sparkrun_tui.launch.plan.making.build_plan", broken)
    with pytest.raises(LaunchError, match="internal error: planning the launch of mine"):
        await desk.inspect(plan)


# What has errors is not there to be pasted.


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "container: --privileged\n",
        HEAD + "container: -v/:/host\n",
        HEAD.replace("org/m", "--token=x", 1) + "container: a/b:1\n",
        HEAD + "container: a/b:1\nexecutor_config: {volumes: ['/a:/b:ro;touch CANARY']}\n",
        HEAD + "container: a/b:1\nenv: {'A B': x}\n",
    ],
)
def test_a_recipe_with_errors_prints_nothing_to_paste(text: str, tmp_path: Path, call: Call) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    code, out, err = call("run", str(path), "--dry-run")
    assert code == 1 and err
    assert [line for line in out.split("\n") if line and not line.startswith("#")] == []
    code, out, _ = call("run", str(path), "--dry-run", "--json")
    assert code == 1 and json.loads(out)["runnable"] is False


def test_a_recipe_without_errors_prints_its_commands(file: Path, call: Call) -> None:
    code, out, _ = call("run", str(file), "--dry-run")
    assert code == 0 and "\ndocker run -d --init" in out
    assert json.loads(call("run", str(file), "--dry-run", "--json")[1])["runnable"] is True


# Mounts are told of everywhere, by the same finding.


def mounted(source: str, kind: SourceKind = SourceKind.REGISTRY, *, privileged: bool = False) -> list[Problem]:
    text = PLAIN + f"executor_config: {{volumes: ['{source}:/x']}}\n"
    stranger = kind is SourceKind.PATH
    recipe = load_text(text, Source(kind, "/x/r.yaml", "" if stranger else "arena", stranger=stranger))
    found = [problem for problem in validate(recipe, privileged=privileged) if problem.code == "host-mount"]
    plan = dry_run.offline_plan(render(recipe, {}), Cluster("c", ("h",), privileged=privileged), "abcd2345", {})
    assert [problem for problem in plan.problems if problem.code == "host-mount"] == found
    assert bool(found) is (recipe.source.foreign and trust.is_risky_mount(f"{source}:/x"))
    return found


@pytest.mark.parametrize(
    ("source", "kind", "severity"),
    [
        ("/etc", SourceKind.REGISTRY, [Severity.ERROR]),
        ("~/.ssh", SourceKind.REGISTRY, [Severity.ERROR]),
        ("/srv/models", SourceKind.REGISTRY, [Severity.WARNING]),
        ("open-webui", SourceKind.REGISTRY, [Severity.WARNING]),
        ("/dev/shm", SourceKind.REGISTRY, []),
        ("/etc", SourceKind.PATH, [Severity.WARNING]),
        ("/srv/models", SourceKind.PATH, [Severity.WARNING]),
        ("/etc", SourceKind.USER, []),
    ],
)
def test_a_mount_is_the_same_finding_for_validate_and_for_a_launch(
    source: str, kind: SourceKind, severity: list[Severity]
) -> None:
    assert [problem.severity for problem in mounted(source, kind)] == severity


def test_a_privileged_cluster_gives_more_than_any_mount() -> None:
    assert [problem.severity for problem in mounted("/etc", privileged=True)] == [Severity.WARNING]


def test_validate_on_the_command_line_tells_of_a_mount(tmp_path: Path, call: Call) -> None:
    text = PLAIN + "executor_config: {volumes: ['/etc:/x']}\n"
    add_registry(str(Upstream(tmp_path / "r").write("recipes/x.yaml", text).commit().folder), "evil")
    code, out, _ = call("recipe", "validate", "@evil/x")
    assert code == 1 and "[host-mount]" in out


# The address of a registry can be seen.


def test_lists_say_where_recipes_of_others_come_from(tmp_path: Path, call: Call) -> None:
    stream = Upstream(tmp_path / "r").write("recipes/x.yaml", PLAIN).commit()
    add_registry(str(stream.folder), "evil")
    address = stream.folder.as_uri()
    _, out, err = call("list", "registry:evil")
    assert address not in out and err.strip() == f"recipes of evil come from {address}"
    _, out, err = call("list", "--long", "registry:evil")
    assert f"registry evil ({address})" in out and err == ""
    _, out, err = call("search", "--long", "registry:evil")
    assert f"registry evil ({address})" in out
    assert json.loads(call("list", "--json", "registry:evil")[1])[0]["repository_url"] == address
    assert address in call("registry", "list")[1]
    _, _, err = call("list", "source:bundled")
    assert err == ""


# Models that look like something else.

DRAFT = '--speculative-config \'{"model": "DRAFT", "num_speculative_tokens": 2}\''


@pytest.mark.parametrize("draft", ["--token=a/b", "-x/y", "../x", "x/..", "~/x", "a b/c", "a/b;touch CANARY", "$X/y"])
@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("serve org/m", f"serve org/m {DRAFT}"),
        PLAIN.replace("vllm serve org/m", 'llama-server -hf org/m:Q8_0 -hfd "DRAFT:Q8_0"').replace("vllm", "llama-cpp"),
        PLAIN.replace("runtime: vllm", "runtime: eugr-vllm").replace("model: org/m\n", "").replace("org/m", '"DRAFT"'),
    ],
)
def test_what_is_no_repository_is_not_downloaded(text: str, draft: str, tmp_path: Path, call: Call) -> None:
    path = tmp_path / "mine.yaml"
    lines = text.replace("DRAFT", draft).split("\n")
    path.write_text(
        "\n".join(f"command: {json.dumps(line[9:])}" if line[:9] == "command: " else line for line in lines)
    )
    _, out, _ = call("run", str(path), "--dry-run")
    wanted = [line for line in out.split("\n") if "hf download" in line or "models--" in line]
    assert out and [line for line in wanted if "org" not in line] == []


@pytest.mark.parametrize("revision", ["--token=x", "../../x", "a b", "a;b", "x" * 300])
def test_a_revision_has_the_form_of_one(revision: str) -> None:
    found = validate(load_text(PLAIN + f"model_revision: {json.dumps(revision)}\n"))
    assert "model-revision" in [problem.code for problem in found if problem.severity is Severity.ERROR]
    assert all(
        problem.code != "model-revision" for problem in validate(load_text(PLAIN + "model_revision: refs/pr/3\n"))
    )
