"""Simulates the scripts of spark-vllm-docker, which build an image and start containers."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from sparkrun_tui.base import shell
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.demo.docker.api import DockerApi
from sparkrun_tui.demo.host import Host, Site
from sparkrun_tui.demo.http import Refused
from sparkrun_tui.demo.jobs import Print
from sparkrun_tui.demo.scripts import path_of
from sparkrun_tui.engines.eugr.recipe import filled
from sparkrun_tui.engines.layout.common import SERVE_FILE

BUILD_SECONDS = 8.0
_LONGEST = 1_000_000
"""The most characters of a command."""
_CALL = late_regex(r"^\./run-recipe\.sh (?P<rest>.+?) </dev/null$", re.MULTILINE)
_CLONE = late_regex(r"git clone --depth 1 -- \S*/spark-vllm-docker ")
_BUILD = (
    "FROM nvcr.io/nvidia/pytorch:26.09-py3 AS build",
    "RUN pip install flashinfer-python torch",
    "RUN git clone https://github.com/vllm-project/vllm",
    "RUN pip wheel --no-build-isolation .",
    "FROM nvcr.io/nvidia/cuda:13.0-runtime AS final",
    "RUN pip install /wheels/*.whl",
)


class EugrScripts:
    """Simulates the scripts for all hosts of a site; `apis` are the hosts' Docker daemons by host name."""

    def __init__(self, site: Site, apis: Mapping[str, DockerApi]) -> None:
        self._site = site
        self._apis = apis

    def knows(self, script: str) -> bool:
        """Whether a script calls or clones them."""
        return _CALL.search(script) is not None or _CLONE.search(script) is not None

    async def run(self, host: Host, script: str, say: Print) -> int:
        """Simulate a script and print its lines with `say`; its exit code."""
        call = _CALL.search(script)
        say("spark-vllm-docker at 4f1c2ab of 2026-10-30")
        if call is None:
            return 0
        words = shlex.split(call["rest"].replace("$HOME", "~HOME"))
        path = path_of(shell.word(words[0].replace("~HOME", "$HOME"))) if words else ""
        recipe = yaml.safe_load(host.files.get(path, b"")) or {}
        if not isinstance(recipe, dict):
            say(f"{path}: not a recipe")
            return 1
        targets = self._targets(host, words)
        image = str(recipe.get("container") or "vllm-node")
        if "--build-only" in words:
            await self._build(host, targets, image, say)
            return 0
        if image not in host.images:
            say(f"the image {image} is not on this host")
            return 1
        name = words[words.index("--name") + 1] if "--name" in words else "vllm_node"
        return self._start(targets, name, image, _labels(script), _command(recipe), say)

    def _targets(self, host: Host, words: list[str]) -> list[Host]:
        if "-n" not in words:
            return [host]
        addresses = words[words.index("-n") + 1].split(",")
        found = [self._site.by_address(address, host) for address in addresses]
        return [each for each in found if each is not None]

    async def _build(self, host: Host, targets: list[Host], image: str, say: Print) -> None:
        if all(image in each.images for each in targets):
            say(f"{image} exists already")
            return
        for number, step in enumerate(_BUILD, 1):
            say(f"#{number} [{number}/{len(_BUILD)}] {step}")
            await host.clock.sleep(BUILD_SECONDS / len(_BUILD))
        for each in targets:
            if each is host:
                say(f"naming to {image} done")
            else:
                say(f"copying {image} to {each.address}")
            each.images.add(image)

    def _start(
        self, targets: list[Host], name: str, image: str, labels: Mapping[str, str], command: str, say: Print
    ) -> int:
        for host in targets:
            api = self._apis[host.name]
            body: dict[str, Any] = {"Image": image, "Labels": dict(labels), "HostConfig": {"Privileged": True}}
            try:
                container = api.create(name, body)
            except Refused as refusal:
                say(f"{host.address}: {refusal.message}")
                return 1
            container.files[SERVE_FILE] = command.encode()
            api.start(container)
            say(f"{host.address}: started {name}")
        return 0


def _labels(script: str) -> dict[str, str]:
    pairs = re.findall(r"--label (\S+?)=([^\s\"\']*)", script)
    return dict(pairs)


def _command(recipe: Mapping[str, Any]) -> str:
    template = str(recipe.get("command") or "")
    defaults = recipe.get("defaults")
    if not isinstance(defaults, dict):
        return template
    text = filled(template, defaults, _LONGEST)
    # The text is only shown: the engine's settings are read from the labels.
    return template if text is None else text
