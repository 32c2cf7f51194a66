"""Commands and code that call an endpoint, to be pasted: an API key is taken from a variable of the environment.

Addresses and names of models come from hosts and recipes: each is quoted for the language that it is written in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from sparkrun_tui.base import shell
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import escape_hidden
from sparkrun_tui.engines.offers import BY_NAME, CHAT, TEXT, Offer
from sparkrun_tui.engines.plan import KEY_VARIABLE
from sparkrun_tui.launch.plan.curl import post

_HELLO = "Hello"
_NO_KEY = "unused"
"""What clients that insist on a key are given for a server that wants none."""
_NEXT_LINE = " \\\n  "


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server to call: `base` is `http://host:port`, `offers` a name of `engines.offers` (empty: not known)."""

    base: str
    model: str
    wants_key: bool = False
    offers: str = ""

    @property
    def url(self) -> str:
        """The base URL for clients of the OpenAI API."""
        return f"{self.base}/v1"

    @property
    def offer(self) -> Offer:
        """What it is asked for."""
        offer = BY_NAME.get(self.offers, CHAT)
        return CHAT if offer.name in TEXT else offer


def endpoint_at(url: str, model: str, *, wants_key: bool = False, offers: str = "") -> Endpoint:
    """The endpoint at a URL, with or without `/v1` at its end."""
    return Endpoint(url.rstrip("/").removesuffix("/v1"), model, wants_key, offers)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of snippet: its name on the command line, and what it is called in the app."""

    name: str
    label: str
    make: Callable[[Endpoint], str]


def kinds(endpoint: Endpoint) -> Mapping[str, Kind]:
    """The snippets that an endpoint has, by name. A server that writes no text has `curl` only."""
    if endpoint.offer is CHAT:
        return _KINDS
    return {"curl": _KINDS["curl"]}


def _curl(endpoint: Endpoint) -> str:
    offer = endpoint.offer
    if offer is not CHAT:
        return post(endpoint.base, offer, endpoint.model, _HELLO, KEY_VARIABLE if endpoint.wants_key else "")
    body = {"model": endpoint.model, "messages": [{"role": "user", "content": _HELLO}]}
    lines = [
        shell.words(["curl", f"{endpoint.url}/chat/completions"]),
        shell.words(["-H", "Content-Type: application/json"]),
        shell.words(["-d", json.dumps(body, ensure_ascii=False)]),
    ]
    if endpoint.wants_key:
        bearer = shell.joined([shell.word("Authorization: Bearer "), shell.variable(KEY_VARIABLE)])
        lines.insert(2, shell.script("-H {bearer}", bearer=bearer))
    return shell.joined(lines, _NEXT_LINE)


def _python(endpoint: Endpoint) -> str:
    # repr() writes every character that cannot be seen as an escape.
    key = repr(_NO_KEY)
    lines = []
    if endpoint.wants_key:
        key = f'os.environ["{KEY_VARIABLE}"]'
        lines += ["import os", ""]
    lines += [
        "from openai import OpenAI",
        "",
        f"client = OpenAI(base_url={endpoint.url!r}, api_key={key})",
        "stream = client.chat.completions.create(",
        f"    model={endpoint.model!r},",
        f'    messages=[{{"role": "user", "content": {_HELLO!r}}}],',
        "    stream=True,",
        ")",
        "for chunk in stream:",
        "    if chunk.choices:",
        '        print(chunk.choices[0].delta.content or "", end="", flush=True)',
    ]
    return "\n".join(lines)


def _js(endpoint: Endpoint) -> str:
    key = f"process.env.{KEY_VARIABLE}" if endpoint.wants_key else json.dumps(_NO_KEY)
    lines = [
        'import OpenAI from "openai";',
        "",
        f"const client = new OpenAI({{ baseURL: {json.dumps(endpoint.url)}, apiKey: {key} }});",
        "const stream = await client.chat.completions.create({",
        f"  model: {json.dumps(endpoint.model)},",
        f'  messages: [{{ role: "user", content: {json.dumps(_HELLO)} }}],',
        "  stream: true,",
        "});",
        "for await (const chunk of stream) {",
        '  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");',
        "}",
    ]
    return "\n".join(lines)


def _open_webui(endpoint: Endpoint) -> str:
    # A value given by its name alone is taken from the environment, and is in no list of processes.
    lines = [
        shell.script("docker run -d --name open-webui -p 3000:8080"),
        shell.script("-e {base}", base=f"OPENAI_API_BASE_URL={endpoint.url}"),
        shell.script("-e OPENAI_API_KEY"),
        shell.script("-v open-webui:/app/backend/data ghcr.io/open-webui/open-webui:main"),
    ]
    key = shell.variable(KEY_VARIABLE) if endpoint.wants_key else shell.word(_NO_KEY)
    lines[0] = shell.script("OPENAI_API_KEY={key} {run}", key=key, run=lines[0])
    return shell.joined(lines, _NEXT_LINE)


def _litellm(endpoint: Endpoint) -> str:
    key = f"os.environ/{KEY_VARIABLE}" if endpoint.wants_key else _NO_KEY
    lines = [
        "# config.yaml of the LiteLLM proxy",
        "model_list:",
        f"  - model_name: {_yaml(endpoint.model)}",
        "    litellm_params:",
        f"      model: {_yaml(f'openai/{endpoint.model}')}",
        f"      api_base: {_yaml(endpoint.url)}",
        f"      api_key: {_yaml(key)}",
    ]
    return "\n".join(lines)


def _yaml(text: str) -> str:
    """A text as a scalar of YAML: in double quotes, JSON is one."""
    return escape_hidden(json.dumps(text, ensure_ascii=False))


_KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("curl", "curl", _curl),
        Kind("python", "Python", _python),
        Kind("js", "JavaScript", _js),
        Kind("open-webui", "Open WebUI", _open_webui),
        Kind("litellm", "LiteLLM", _litellm),
    )
}

NAMES = tuple(_KINDS)
"""The names of all kinds."""
