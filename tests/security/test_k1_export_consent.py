"""K1: what a stranger's recipe does is said before another tool can start it without a question."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.cli import main

RECIPE = """\
model: org/m
runtime: vllm
container: a/b:1
defaults: {{port: 8000}}
{more}
command: vllm serve {{model}} --port {{port}}
"""
GRAVE = "executor_config: {privileged: true, volumes: ['/srv:/srv']}\npre_exec: ['echo canary']"
FORMS = ("compose", "systemd", "kubernetes")


def run(words: list[str]) -> int:
    """The exit status of a command line, which does not open the app."""
    return int(main.run(words, open_app=lambda *_: 0))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe in no folder of the user's own."""
    path = tmp_path / "evil.yaml"
    path.write_text(RECIPE.format(more=GRAVE))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_written_once_the_user_has_agreed(
    form: str, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "written"
    words = ["recipe", "export", str(recipe), "--as", form, "--output", str(target)]
    assert run(words) != 0
    said = capsys.readouterr().err
    assert "privileged" in said
    assert "/srv" in said
    assert "echo canary" in said
    assert "--yes" in said
    assert not target.exists()
    assert run([*words, "--yes"]) == 0
    assert target.exists()


@pytest.mark.parametrize("form", FORMS)
def test_standard_output_is_beside_what_it_does(form: str, recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "export", str(recipe), "--as", form]) == 0
    told = capsys.readouterr()
    assert "privileged" in told.err
    assert "/srv" in told.err
    assert told.out.startswith("# ")


def test_a_recipe_that_only_serves_is_written_without_a_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mild.yaml"
    path.write_text(RECIPE.format(more=""))
    target = tmp_path / "compose.yaml"
    assert run(["recipe", "export", str(path), "--as", "compose", "--output", str(target)]) == 0
    assert target.exists()
    assert "What it does" not in capsys.readouterr().err
