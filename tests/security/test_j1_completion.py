"""J1: completion as a shell starts it, in a process of its own: names of strangers are quoted, and nothing fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sparkrun_tui.recipe.registry.registries import add_registry
from tests.recipe.upstream import Upstream

RECIPE = "model: org/m\nruntime: vllm\ncommand: vllm serve {model}\n"

# What a person types at the prompt, and a look at what the key would insert.
_TYPED = """\
PATH={bin}:$PATH
eval "$(sparkrun-tui completion bash)"
COMP_LINE='{line}'
COMP_POINT=${{#COMP_LINE}}
compopt() {{ :; }}
_sparkrun_tui_completion sparkrun-tui
for word in "${{COMPREPLY[@]}}"; do eval "printf '%s\\n' $word"; done
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with the program as it is installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "sparkrun-tui"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nfrom sparkrun_tui.entry import main\n"
        "sys.argv[0] = 'sparkrun-tui'\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    return folder


def complete(program: Path, line: str) -> list[str]:
    """The words that bash would insert, as a shell reads them."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    script = _TYPED.format(bin=program, line=line)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([bash, "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.usefixtures("private_home")
def test_bash_inserts_names_of_strangers_as_one_word(program: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    upstream = Upstream(tmp_path / "r")
    names = [f"x$(touch {canary.name})", "a b;touch canary", "plain", "y`touch canary`"]
    for name in names:
        upstream.write(f"recipes/{name}.yaml", RECIPE)
    add_registry(str(upstream.commit().folder), "evil")
    found = complete(program, "sparkrun-tui show @evil/")
    # bash keeps what stands before the last of its word breaks, of which `@` is one.
    assert sorted(found) == sorted(f"evil/{name}" for name in names)
    assert not canary.exists() and not Path("canary").exists()


@pytest.mark.usefixtures("private_home")
@pytest.mark.parametrize("line", ["sparkrun-tui sho", "sparkrun-tui run nothing -o ", "sparkrun-tui run qwen3-1.7b-v"])
def test_bash_is_answered_without_an_error(program: Path, line: str) -> None:
    complete(program, line)
