"""Code that calls an endpoint: right as it is pasted, whatever a model or a host is called."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrun_tui.base.text import visible
from sparkrun_tui.cli.commands.snippet import KINDS
from sparkrun_tui.launch.chat.snippets import NAMES, Endpoint, endpoint_at, kinds
from tests.support.shell_stubs import PAYLOADS, Sandbox

ODD = [*PAYLOADS, 'a"b', "a'b", "a\\", "{x}", "${API_KEY}", "*/", '"""', "é🙂", "\u202eevil", "x\x1b[2J", "#{1}", "`1`"]
PLAIN = Endpoint("http://10.0.0.1:8000", "org/alpha")
KEYED = Endpoint("http://10.0.0.1:8000", "org/alpha", wants_key=True)


def made(name: str, endpoint: Endpoint) -> str:
    return kinds(endpoint)[name].make(endpoint)


def test_the_command_line_knows_all_kinds() -> None:
    assert KINDS == NAMES


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_the_base_is_found_in_any_url(url: str) -> None:
    assert endpoint_at(url, "m").url == "http://h:1/v1"


@pytest.mark.parametrize("name", NAMES)
def test_a_key_is_a_variable_and_only_where_one_is_wanted(name: str) -> None:
    assert "API_KEY" in made(name, KEYED)
    plain = made(name, PLAIN)
    assert "${API_KEY}" not in plain and "environ" not in plain and "process.env" not in plain
    for text in (plain, made(name, KEYED)):
        assert "http://10.0.0.1:8000/v1" in text
        assert "org/alpha" in text or name == "open-webui"


def test_curl_asks_in_a_shell(tmp_path: Path) -> None:
    words = shlex.split(made("curl", PLAIN).replace("\\\n", ""))
    assert words[:2] == ["curl", "http://10.0.0.1:8000/v1/chat/completions"]
    assert json.loads(words[-1]) == {"model": "org/alpha", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize("name", ["curl", "open-webui"])
@pytest.mark.parametrize("wants_key", [False, True])
def test_no_name_runs_in_a_shell(tmp_path: Path, name: str, wants_key: bool) -> None:
    sandbox = Sandbox(tmp_path / "box")
    for odd in ODD:
        endpoint = Endpoint(f"http://{odd}:8000", odd, wants_key)
        for text in (made(name, endpoint), visible(made(name, endpoint))):
            ran = sandbox.run(text)
            assert not ran.canary, odd
            assert not ran.unbalanced, odd


def test_no_name_leaves_its_string_in_python() -> None:
    for odd in ODD:
        endpoint = Endpoint(f"http://{odd}:8000", odd, wants_key=True)
        tree = ast.parse(made("python", endpoint))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        given: dict[str, Any] = {
            keyword.arg or "": keyword.value.value
            for call in calls
            for keyword in call.keywords
            if isinstance(keyword.value, ast.Constant)
        }
        assert (given["base_url"], given["model"]) == (f"http://{odd}:8000/v1", odd)


def test_no_name_leaves_its_string_in_javascript() -> None:
    for odd in ODD:
        text = made("js", Endpoint(f"http://{odd}:8000", odd))
        assert text.isascii()
        (base,) = re.findall(r"baseURL: (\".*\"), apiKey", text)
        (model,) = re.findall(r"^  model: (\".*\"),$", text, re.MULTILINE)
        assert (json.loads(base), json.loads(model)) == (f"http://{odd}:8000/v1", odd)
        assert text.count("\n") == made("js", PLAIN).count("\n")


def test_no_name_leaves_its_string_in_yaml() -> None:
    for odd in ODD:
        (entry,) = yaml.safe_load(made("litellm", Endpoint(f"http://{odd}:8000", odd, wants_key=True)))["model_list"]
        assert entry == {
            "model_name": odd,
            "litellm_params": {
                "model": f"openai/{odd}",
                "api_base": f"http://{odd}:8000/v1",
                "api_key": "os.environ/API_KEY",
            },
        }


def test_the_key_is_on_no_command_line() -> None:
    text = made("open-webui", KEYED)
    assert text.startswith('OPENAI_API_KEY="${API_KEY}" docker run')
    assert " -e OPENAI_API_KEY " in text.replace("\\\n", " ")


def test_a_server_that_writes_no_text_has_curl_alone() -> None:
    endpoint = Endpoint("http://h:1", "m", offers="embedding")
    assert list(kinds(endpoint)) == ["curl"]
    assert "http://h:1/v1/embeddings" in made("curl", endpoint)
