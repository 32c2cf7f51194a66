"""H1: a question shows what a recipe does in every case of its conditions, and conditions cost and tell little."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sparkrun_tui.launch.plan.consent import consent_needed
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.recipe.trust import Demand
from sparkrun_tui.recipe.values.conditional import with_layers
from sparkrun_tui.recipe.values.overrides import render
from tests.cli.conftest import Cli, cli

__all__ = ["cli"]

HEAD = "name: r\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve {model}\n"
SOURCE = Source(SourceKind.REGISTRY, "r.yaml", registry="reg", root="/nowhere")


def foreign(more: str) -> Recipe:
    return load_text(HEAD + more, SOURCE)


def asked(more: str) -> list[Demand]:
    return list(consent_needed(render(foreign(more), {}), {}))


def told(found: list[Demand]) -> str:
    return "\n".join(f"{demand.title}\n{demand.detail}" for demand in found)


def test_a_folder_that_only_a_condition_mounts_is_asked_about() -> None:
    found = asked(
        "model: '{place}'\ndefaults: {place: org/m}\noverrides:\n- when: {nodes: 2}\n  defaults: {place: /srv/canary}\n"
    )
    [mount] = [demand for demand in found if demand.kind == "mount"]
    assert mount.is_risky and "/srv/canary" in mount.title and "nodes 2" in mount.title


def test_scripts_of_eugr_that_only_a_condition_starts_are_asked_about() -> None:
    found = asked(
        "model: org/m\nbuilder: eugr\nbuild_args: [--vllm-repo, 'https://evil.example']\n"
        "overrides:\n- when: {nodes: 2}\n  container: own:1\n"
    )
    [scripts] = [demand for demand in found if "scripts of eugr" in demand.title]
    assert scripts.is_risky and "https://evil.example" in scripts.detail


PIECES = """\
model: org/m
defaults: {p: "", q: "", r: "true"}
post_commands: ["{r}{p}{q}"]
overrides:
- when: {nodes: 1}
  defaults: {p: "touch can"}
- when: {tp: 1}
  defaults: {q: "{s}", r: ""}
- when: {nodes: {gte: 1}}
  defaults: {s: "ary"}
- when: {platform: other}
  defaults: {p: "", q: "", r: "true"}
"""


def test_a_hook_that_several_conditions_put_together_is_shown_as_it_is_written() -> None:
    recipe = foreign(PIECES)
    some = with_layers(render(recipe, {}), recipe.layers[:3])
    assert "touch canary" in told(list(consent_needed(some, {})))
    found = asked(PIECES)
    assert "touch canary" not in told(found)
    [written] = [demand for demand in found if demand.detail == "{r}{p}{q}"]
    assert written.is_risky and "several conditions" in written.title
    for piece in ("p: touch can", "q: {s}", "s: ary"):
        assert piece in told(found)


def test_many_conditions_are_judged_in_time() -> None:
    entries = "".join(f"- when: {{nodes: {n}}}\n  defaults: {{a: '{n}', b: '{{a}}'}}\n" for n in range(1, 201))
    hooks = "".join(f"- echo {{b}} {'x' * 8000} # {n}\n" for n in range(100))
    more = f"model: org/m\ndefaults: {{a: x, b: y}}\npost_commands:\n{hooks}overrides:\n{entries}"
    before = time.process_time()
    found = asked(more)
    assert time.process_time() - before < 2
    assert sum("as it is written" in demand.title for demand in found) == 100


@pytest.mark.parametrize("secret", ["apple", "1234"])
@pytest.mark.parametrize("words", [("show",), ("show", "--json"), ("run", "--dry-run", "-H", "a"), ("recipe", "vram")])
def test_a_reason_holds_no_secret(cli: Cli, words: tuple[str, ...], secret: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        HEAD.replace("{model}", "{model} --api-key {api_key}")
        + "model: org/m\noverrides:\n- when: {config: {api_key: other}}\n  defaults: {x: 1}\n"
    )
    done = cli(*words, str(path), "-o", f"api_key={secret}")
    assert done.code == 0
    assert secret not in done.out + done.err


def test_a_long_value_is_not_repeated_by_every_condition(cli: Cli, tmp_path: Path) -> None:
    keys = ", ".join(f"k{n}: other" for n in range(8))
    values = "".join(f"  k{n}: {'v' * 100_000}\n" for n in range(8))
    path = tmp_path / "r.yaml"
    entries = f"- when: {{config: {{{keys}}}}}\n  defaults: {{x: 1}}\n" * 200
    path.write_text(HEAD + f"model: org/m\ndefaults:\n{values}overrides:\n{entries}")
    done = cli("run", str(path), "--dry-run", "-H", "a")
    assert done.code == 0 and "does not hold" in done.out
    assert len(done.out) < 4 << 20


def test_many_hooks_and_long_names_cost_little(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(HEAD + "model: org/m\npre_exec:\n" + "- x\n" * 9000)
    done = cli("run", str(path), "--dry-run", "-H", "a,b,c,d")
    assert done.code == 1 and "at most 100" in done.out + done.err
    assert len(done.out) < 4 << 20
    path.write_text(HEAD + f"model: /{'m' * 100_000}\nmodel_revision: {'r' * 100_000}\npre_exec:\n" + "- x\n" * 99)
    done = cli("run", str(path), "--dry-run", "-H", "a,b,c,d")
    assert done.code == 1
    assert len(done.out) < 16 << 20
