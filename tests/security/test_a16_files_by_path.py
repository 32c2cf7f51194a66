"""A16: a recipe named by its path is asked about when it does more than serve, and never hides another one quietly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.user.settings import Settings, load_settings
from sparkrun_tui.cli.main import run
from sparkrun_tui.launch.plan.consent import consent_needed, give, insist_on_consent, question
from sparkrun_tui.launch.plan.dry_run import lines, offline_plan
from sparkrun_tui.launch.plan.environment import plan_env
from sparkrun_tui.recipe.bundled_files.attachments import find_attachments
from sparkrun_tui.recipe.model import SourceKind
from sparkrun_tui.recipe.search.sources import all_recipes, find_recipe
from sparkrun_tui.recipe.trust import consented_variables
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered

PLAIN = "model: org/m\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve org/m\n"
READS = PLAIN + 'env: {X: "$AWS_SECRET_ACCESS_KEY", Y: "${HF_TOKEN}"}\n'
ENVIRON = {
    "AWS_SECRET_ACCESS_KEY": "canary-0123456789",
    "HF_TOKEN": "hf_canary0123456789",
    "VLLM_API_KEY": "key-canary-0123456789",
}
BEYOND = {
    "variable": READS,
    "pre_exec": PLAIN + "pre_exec: [touch CANARY]\n",
    "post_exec": PLAIN + "post_exec: [touch CANARY]\n",
    "post_commands": PLAIN + "post_commands: [touch CANARY]\n",
    "copy": PLAIN + "pre_exec: [{copy: notes.txt, dest: /opt}]\n",
    "mod": PLAIN + "mods: [fix]\n",
    "mount": PLAIN + "executor_config: {volumes: ['/srv:/srv']}\n",
    "volume": PLAIN + "executor_config: {volumes: ['open-webui:/c']}\n",
    "key": PLAIN + 'env: {X: "$VLLM_API_KEY"}\n',
    "eugr": PLAIN.replace("runtime: vllm", "runtime: eugr-vllm"),
    "builder": PLAIN.replace("a/b:1", "own") + "builder: eugr\n",
    "device": PLAIN + "executor_config: {devices: [/dev/mem]}\n",
    "capability": PLAIN + "executor_config: {cap_add: [SYS_ADMIN]}\n",
}
HARMLESS = {
    "plain": PLAIN,
    "token": PLAIN + 'env: {HF_TOKEN: "${HF_TOKEN}"}\n',
    "unset": PLAIN + 'env: {X: "$NOT_SET_HERE"}\n',
    "code": PLAIN.replace("serve org/m", "serve org/m --trust-remote-code"),
    "options": PLAIN + "executor_config: {shm_size: 16g, cap_add: [IPC_LOCK], devices: [/dev/nvidia0]}\n",
    "volume": PLAIN + "executor_config: {volumes: ['sparkrun-cache:/c']}\n",
}

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)

    def call(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = run(list(words), open_app=lambda demo, cluster, query: 0)
        told = capsys.readouterr()
        return code, told.out + told.err

    return call


def written(folder: Path, text: str, name: str = "r.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "notes.txt").write_text("notes\n")
    (folder / "fix").mkdir(exist_ok=True)
    (folder / "fix" / "run.sh").write_text("true\n")
    (folder / name).write_text(text)
    return folder / name


def found(path: Path | str, settings: Settings | None = None) -> Rendered:
    return render(find_recipe(str(path), settings or Settings()), {})


@pytest.mark.parametrize("what", BEYOND)
def test_a_file_from_elsewhere_that_does_more_is_asked_about(what: str, tmp_path: Path) -> None:
    rendered = found(written(tmp_path / "downloads", BEYOND[what]))
    assert consent_needed(rendered, ENVIRON)
    assert "in none of your recipe folders" in question(rendered)
    with pytest.raises(LaunchError, match="needs your consent"):
        insist_on_consent(rendered, ENVIRON, find_attachments(rendered))
    give(rendered)
    assert consent_needed(found(rendered.recipe.source.path), ENVIRON) == ()
    insist_on_consent(rendered, ENVIRON, find_attachments(rendered))
    written(tmp_path / "downloads", BEYOND[what] + "# changed\n")
    again = found(rendered.recipe.source.path)
    assert consent_needed(again, ENVIRON) and "has changed since you agreed" in question(again)


@pytest.mark.parametrize("what", HARMLESS)
def test_a_file_that_only_serves_is_not(what: str, tmp_path: Path) -> None:
    rendered = found(written(tmp_path / "downloads", HARMLESS[what]))
    assert consent_needed(rendered, ENVIRON) == ()


@pytest.mark.parametrize("what", BEYOND)
def test_nor_is_one_of_the_users_own_folders(what: str, tmp_path: Path) -> None:
    configured = written(tmp_path / "mine" / "deep", BEYOND[what])
    settings = Settings(recipe_dirs=(tmp_path / "mine",))
    assert consent_needed(found(configured, settings), ENVIRON) == ()
    usual = written(paths.user_recipes(), BEYOND[what])
    assert consent_needed(found(usual), ENVIRON) == ()
    assert consented_variables(found(usual).recipe) is None


def test_a_link_from_the_users_folder_leads_elsewhere(tmp_path: Path) -> None:
    outside = written(tmp_path / "downloads", BEYOND["post_commands"])
    paths.user_recipes().mkdir(parents=True)
    link = paths.user_recipes() / "link.yaml"
    link.symlink_to(outside)
    assert consent_needed(found(link), ENVIRON)


def test_bundled_recipes_ask_nothing_by_name_or_by_path() -> None:
    for recipe in all_recipes(Settings()):
        if recipe.source.kind is SourceKind.BUNDLED:
            by_path = found(recipe.source.path)
            assert consent_needed(by_path, ENVIRON) == (), recipe.name
            assert [problem for problem in by_path.recipe.problems if problem.code == "hides-recipe"] == []


def test_a_variable_is_withheld_until_agreed_to(tmp_path: Path) -> None:
    rendered = found(written(tmp_path / "downloads", READS))
    before = plan_env(rendered, ENVIRON, consented_variables(rendered.recipe))
    texts = [*before.plain.values(), *(value.reveal() for value in before.secret.values())]
    assert ENVIRON["AWS_SECRET_ACCESS_KEY"] not in texts and ENVIRON["HF_TOKEN"] in texts
    assert "env-consent" in {problem.code for problem in before.problems}
    give(rendered)
    after = plan_env(rendered, ENVIRON, consented_variables(rendered.recipe))
    assert ENVIRON["AWS_SECRET_ACCESS_KEY"] in [value.reveal() for value in after.secret.values()]


def test_show_and_the_dry_run_name_the_variables_and_no_value(call: Call, tmp_path: Path) -> None:
    written(tmp_path, READS, "reads.yaml")
    for words in (("show", "reads"), ("run", "reads", "--dry-run"), ("run", "reads", "--dry-run", "--json")):
        _, told = call(*words)
        assert "reads variables of this machine: AWS_SECRET_ACCESS_KEY, HF_TOKEN" in told
        assert "canary" not in told
    own = found(written(paths.user_recipes(), READS))
    assert any(
        "AWS_SECRET_ACCESS_KEY, HF_TOKEN" in line for line in lines(offline_plan(own, None, "abcd2345", ENVIRON))
    )


def test_the_command_line_asks_and_yes_answers(call: Call, tmp_path: Path) -> None:
    path = written(tmp_path, BEYOND["post_commands"], "hooks.yaml")
    code, told = call("run", str(path), "--demo")
    assert code != 0 and "in none of your recipe folders" in told and "--yes" in told
    assert "touch CANARY" in told and not (tmp_path / "CANARY").exists()
    code, told = call("run", str(path), "--dry-run")
    assert code == 0, told
    code, told = call("run", str(path), "--yes")
    assert "no cluster is configured" in told, "it was agreed to, and went on"
    assert consent_needed(found(path), ENVIRON) == ()
    assert "in none of your recipe folders" not in call("run", str(path))[1]


@pytest.mark.parametrize("spelling", ["{}", "{}.yaml"])
def test_a_file_that_hides_a_bundled_recipe_is_told(spelling: str, call: Call, tmp_path: Path) -> None:
    bundled = next(recipe for recipe in all_recipes(Settings()) if recipe.source.kind is SourceKind.BUNDLED)
    stem = Path(bundled.source.path).stem
    name = spelling.format(stem)
    path = written(tmp_path, PLAIN, f"{stem}.yaml")
    told_of = f"this file of the current folder is used for `{name}`, not the bundled one"
    for words in (("show", name), ("recipe", "validate", name), ("run", name, "--dry-run")):
        _, told = call(*words)
        assert told_of in told, words
    assert told_of not in call("show", str(path))[1], "a path means that file"
    path.write_bytes(Path(bundled.source.path).read_bytes())
    assert "is used for" not in call("show", name)[1], "the same recipe hides nothing"


def test_a_file_that_hides_one_of_the_users_is_told(call: Call, tmp_path: Path) -> None:
    own = written(paths.user_recipes(), PLAIN + "# mine\n", "chosen.yaml")
    written(tmp_path, PLAIN, "chosen.yaml")
    _, told = call("show", "chosen")
    assert "not the user one" in told and str(own) in told
    assert load_settings() == Settings()
