"""A pinned revision that the command does not pass is a warning with its fix; a built command passes it."""

from __future__ import annotations

import pytest

from sparkrun_tui.engines.checks.flags import check_revision
from sparkrun_tui.engines.plan import ModelNeed
from sparkrun_tui.engines.registry import engine_for

from .samples import plan, rendered, with_command

PIN = "925d7be6c14c6c9442ef83e8f05b5a3c39304f69"


@pytest.mark.parametrize(
    ("engine", "command", "codes", "remedy"),
    [
        ("vllm", "vllm serve {model}", ["revision-unused"], "add `--revision {model_revision}`"),
        ("vllm", "vllm serve {model} --revision {model_revision}", [], ""),
        ("vllm", f"vllm serve {{model}} --revision {PIN}", [], ""),
        ("vllm", "vllm serve {model} --revision=v2", ["revision-differs"], "write `--revision {model_revision}`"),
        ("vllm", "vllm serve {model} --revision $REV", [], ""),
        ("vllm", "vllm serve {model} --tokenizer-revision {model_revision}", ["revision-unused"], "--revision"),
        ("sglang", "sglang serve {model} --revis {model_revision}", [], ""),
        ("sglang", "sglang serve {model} --revision {model_revision} --speculative-draft-model-path {model}",
         ["revision-unused"], "--speculative-draft-model-revision {model_revision}"),
        ("vllm", """vllm serve {model} --revision {model_revision} -sc '{"model": "a/b", "method": "mtp"}'""",
         ["revision-unused"], '"revision": "{model_revision}"'),
        ("vllm", f"""vllm serve {{model}} --revision {PIN} -sc '{{"model": "a/b", "revision": "{PIN}"}}'""", [], ""),
        ("llama-cpp", "llama-server -hf {model}", [], ""),
    ],
)  # fmt: skip
def test_a_pin_reaches_the_engine(engine: str, command: str, codes: list[str], remedy: str) -> None:
    what = with_command(command, engine, "a/b", f"model_revision: {PIN}")
    found = check_revision(what)
    assert [problem.code for problem in found] == codes
    assert all(remedy in problem.remedy for problem in found)


@pytest.mark.parametrize("engine", ["vllm", "vllm-distributed", "sglang"])
def test_a_built_command_passes_the_pin(engine: str) -> None:
    text = f"model: a/b\nruntime: {engine}\ncontainer: x:1\nmodel_revision: {PIN}\n"
    what = rendered(text)
    assert f"--revision {PIN}" in engine_for(engine).command(what)
    assert check_revision(what) == ()
    assert plan(what).models == (ModelNeed("a/b", PIN),)


def test_another_model_has_no_pin() -> None:
    text = f"model: a/b\nruntime: vllm\ncontainer: x:1\nmodel_revision: {PIN}\n"
    what = rendered(text + "command: vllm serve {model} --revision {model_revision}\n", model="c/d")
    assert check_revision(what) == ()
    assert plan(what).models == (ModelNeed("c/d", "main"),)


def test_a_model_on_the_hosts_has_no_revision_to_pass() -> None:
    assert check_revision(with_command("vllm serve {model}", "vllm", "/srv/models/b", f"model_revision: {PIN}")) == ()
