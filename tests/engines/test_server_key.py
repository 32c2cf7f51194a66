"""The API key that a server wants: found in its command, in variables, and in what its processes were given."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.command.server_key import KeyFinder
from sparkrun_tui.engines.plan import HostView, ServerKey
from sparkrun_tui.engines.registry import ENGINES, FAMILIES, families_of
from sparkrun_tui.launch.plan.environment import plan_env
from sparkrun_tui.launch.plan.plan import build_plan
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.values.overrides import render

KEY = "local-key"


def planned(runtime: str, command: str, more: str = "", **overrides: str) -> ServerKey:
    """The key in the plan of a recipe with this command."""
    text = f"model: org/m\nruntime: {runtime}\ncontainer: a/b:1\nmode: solo\ndefaults: {{port: 8000}}\n{more}"
    if command:
        text += "command: |\n" + "".join(f"  {line}\n" for line in command.split("\n"))
    rendered = render(load_text(text, Source(SourceKind.PATH, "r.yaml")), overrides)
    env = plan_env(rendered, {"MY_KEY": KEY})
    views = [HostView("spark-1", "10.0.0.1")]
    plan = build_plan(rendered, Cluster("lab", ("spark-1",)), views, launch_id="abcd2345", env=env)
    return plan.serve.ready.key


VLLM = "vllm serve {model} --port {port}"
SGLANG = "python3 -m sglang.launch_server --model-path {model} --port {port}"
LLAMA = "llama-server -hf {model} --port {port}"


@pytest.mark.parametrize(
    ("runtime", "command", "more"),
    [
        ("vllm", f"{VLLM} --api-key {KEY}", ""),
        ("vllm", f"{VLLM} --api-key={KEY}", ""),
        ("vllm", f"{VLLM} --api_key '{KEY}'", ""),
        ("vllm", f"{VLLM} --api-k {KEY}", ""),
        ("vllm", f"{VLLM} --api-ke={KEY}", ""),
        ("vllm", f"{VLLM} --api-key {KEY} another-key", ""),
        ("vllm", f"bash -c 'exec vllm serve {{model}} --api-key {KEY}'", ""),
        ("vllm", f"export VLLM_API_KEY={KEY}\n{VLLM}", ""),
        ("vllm", f"VLLM_API_KEY={KEY} {VLLM}", ""),
        ("vllm", f"K={KEY}\n{VLLM} --api-key $K", ""),
        ("vllm", VLLM, f"env: {{VLLM_API_KEY: {KEY}}}\n"),
        ("vllm", VLLM, "env: {VLLM_API_KEY: $MY_KEY}\n"),
        ("vllm", f'{VLLM} --api-key "$OTHER"', f"env: {{OTHER: {KEY}}}\n"),
        ("vllm-distributed", f"{VLLM} --api-key {KEY}", ""),
        ("eugr-vllm", f"{VLLM} --api-key {KEY}", ""),
        ("sglang", f"{SGLANG} --api-key {KEY}", ""),
        ("sglang", f"{SGLANG} --api-ke {KEY}", ""),
        ("sglang", f"{SGLANG} --api-key $SGLANG_API_KEY", f"env: {{SGLANG_API_KEY: {KEY}}}\n"),
        ("llama-cpp", f"{LLAMA} --api-key {KEY}", ""),
        ("llama-cpp", f"{LLAMA} --api-key {KEY},second-key", ""),
        ("llama-cpp", LLAMA, f"env: {{LLAMA_API_KEY: '{KEY},b'}}\n"),
    ],
)
def test_the_key_is_found_where_it_is(runtime: str, command: str, more: str) -> None:
    found = planned(runtime, command, more)
    assert found.wanted
    assert found.secret == Secret(KEY)


@pytest.mark.parametrize("runtime", sorted(ENGINES))
def test_every_engine_carries_a_typed_key(runtime: str) -> None:
    command = {"vllm": VLLM, "sglang": SGLANG, "llama-cpp": LLAMA}[ENGINES[runtime].family.name]
    found = planned(runtime, command + " --api-key {api_key}", api_key="typed-key-Zq8")
    assert found.secret == Secret("typed-key-Zq8")
    assert "typed-key-Zq8" not in repr(found)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_every_engine_says_where_its_key_is(family: object) -> None:
    assert families_of(family.name)[0].keys.flags  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "command",
    [f"{VLLM} --api-key $(cat /run/key)", f'{VLLM} --api-key "$UNSET"', f"{VLLM} --api-key pre-$HOME"],
)
def test_a_key_that_only_a_shell_knows_is_wanted_but_not_known(command: str) -> None:
    found = planned("vllm", command)
    assert found.wanted
    assert found.secret is None


def test_a_file_of_keys_is_read_in_the_container() -> None:
    found = planned("llama-cpp", f"{LLAMA} --api-key-file /models/keys.txt")
    assert (found.wanted, found.secret, found.file) == (True, None, "/models/keys.txt")
    finder = KeyFinder(families_of("llama-cpp"))
    assert finder.first("\n\r\nfirst key\r\nsecond\n") == Secret("first key")
    assert finder.first("\n  \n") is None


def test_a_server_without_a_key_wants_none() -> None:
    assert not planned("vllm", VLLM).wanted
    assert not planned("vllm", VLLM, "env: {OTHER_KEY: abcdefgh}\n").wanted


@pytest.mark.parametrize(
    ("engine", "variables", "words"),
    [
        ("vllm", [], ["bash", "/run/s.sh", "python3", "/usr/bin/vllm", "serve", "org/m", "--api-key", KEY, "python3"]),
        ("vllm", ["PATH=/bin", f"VLLM_API_KEY={KEY}"], ["python3", "/usr/bin/vllm", "serve", "org/m"]),
        ("vllm", [f"VLLM_API_KEY={KEY}"], ["VLLM::EngineCore"]),
        ("eugr-vllm", [], ["vllm", "serve", "org/m", f"--api-key={KEY}"]),
        ("sglang", [], ["python3", "-m", "sglang.launch_server", "--model-path", "m", "--api-key", KEY]),
        ("llama-cpp", [f"LLAMA_API_KEY=,{KEY}"], ["llama-server", "-m", "x.gguf"]),
        ("", [f"LLAMA_API_KEY={KEY}"], ["llama-server", "-m", "x.gguf"]),
    ],
)  # fmt: skip
def test_the_key_is_found_in_processes(engine: str, variables: list[str], words: list[str]) -> None:
    assert KeyFinder(families_of(engine)).find(variables, words).secret == Secret(KEY)


def test_a_key_with_characters_that_no_header_takes_is_not_known() -> None:
    assert KeyFinder(families_of("vllm")).find(["VLLM_API_KEY=a\r\nX-Evil: 1"], []).secret is None


def test_what_processes_were_given_is_read_as_it_is() -> None:
    words = ["vllm", "serve", "m", "--api-key", "$HOME-and`more"]
    assert KeyFinder(families_of("vllm")).find(["HOME=/root"], words).secret == Secret("$HOME-and`more")
