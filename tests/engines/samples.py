"""Recipes, hosts and requests for the tests of plans, and a bash that shows which words a program was given."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.plan import HostView, PlanRequest, Rdma, ServePlan
from sparkrun_tui.engines.registry import engine_for
from sparkrun_tui.recipe.bundled_files.attachments import find_attachments
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered

VLLM = """\
model: acme/Falcon-30B
runtime: vllm
container: acme/vllm:1.2
defaults:
  port: 8001
  tensor_parallel: 2
  served_model_name: falcon
command: |
  vllm serve {model} -tp {tensor_parallel} \\
      --served-model-name {served_model_name} \\
      --port {port}
"""


def rendered(text: str, **overrides: str) -> Rendered:
    """A recipe's text with overrides."""
    return render(load_text(text, Source(SourceKind.PATH, "sample.yaml")), overrides)


def with_command(command: str, runtime: str = "vllm", model: str = "acme/Falcon-30B", top: str = "") -> Rendered:
    """A recipe around a command."""
    lines = "\n".join(f"  {line}" for line in command.split("\n"))
    return rendered(f"model: {model}\nruntime: {runtime}\ncontainer: acme/x:1\n{top}\ncommand: |2\n{lines}\n")


def host(number: int, **changes: object) -> HostView:
    """A probed Spark, the fabric found."""
    values: dict[str, object] = {
        "name": f"spark-{number}",
        "address": f"10.0.0.{number}",
        "home": "/home/ada",
        "hf_cache": "/home/ada/.cache/huggingface",
        "app_cache": "/home/ada/.cache/sparkrun-tui",
        "interface": "enP7s7",
        "rdma": Rdma(("rocep1s0f0", "roceP2p1s0f0"), ("enp1s0f0np0", "enP2p1s0f0np0"), ("192.0.2.1", "192.0.2.2"), 3),
        "has_infiniband": True,
        "probed": True,
        "boot_id": f"boot-{number}",
    }
    return HostView(**{**values, **changes})  # type: ignore[arg-type]


def hosts(count: int) -> tuple[HostView, ...]:
    """Sparks 1 to `count`."""
    return tuple(host(number) for number in range(1, count + 1))


def plan(
    what: Rendered,
    count: int = 1,
    *,
    views: tuple[HostView, ...] | None = None,
    env: Mapping[str, str] | None = None,
    secret_env: Mapping[str, Secret] | None = None,
    gguf_path: str = "",
    gguf_projector: str = "",
) -> ServePlan:
    """The plan of a rendered recipe on `count` Sparks, with the files that it brings."""
    request = PlanRequest(
        what,
        views or hosts(count),
        "k3v9wxyz",
        env=env or {},
        secret_env=secret_env or {},
        gguf_path=gguf_path,
        gguf_projector=gguf_projector,
        attachments=find_attachments(what),
    )
    return engine_for(what.recipe.runtime).plan(request)


def scripts(serve: ServePlan) -> list[str]:
    """What the engine itself is started with, by rank: execs where there are any, else the containers' scripts."""
    execs = [execution.script for stage in serve.stages for execution in stage.execs]
    return execs or [rank.container.script for rank in serve.ranks]


def words_of(script: str, folder: Path, program: str = "vllm") -> list[str]:
    """Run a script by bash with `program` replaced by one that writes its words down; the words of its last call."""
    log = folder / "words"
    stub = folder / program
    stub.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" >{log}\n")
    stub.chmod(0o755)
    log.unlink(missing_ok=True)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder)}
    subprocess.run(["bash", "-c", script], cwd=folder, env=env, check=False, capture_output=True, timeout=20)
    return log.read_text().split("\0")[:-1]
