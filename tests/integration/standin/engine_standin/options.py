"""What `vllm serve` was asked to do."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine_standin import checks
from engine_standin.commandline import Parser, add_flags

_USAGE = "vllm [-h] [-v]\n            {chat,complete,serve,launch,bench,collect-env,run-batch}\n            ..."


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The flags that the stand-in acts on; `given` holds all that were given."""

    model: str
    given: dict[str, Any]
    arguments: list[str]
    host: str
    port: int
    served_names: list[str]
    ranks: int
    """Tensor times pipeline parallel."""

    backend: str
    nnodes: int
    node_rank: int
    master: tuple[str, int]
    headless: bool
    eager: bool
    timeout: float
    """Seconds that ranks wait for each other."""

    directory: Path = Path()
    max_model_len: int = 0


def parse(arguments: list[str]) -> ServeOptions:
    """The options of `vllm serve ARGUMENTS`; ends with exit code 2 as argparse does."""
    parser = Parser(prog="vllm serve", usage=_USAGE, allow_abbrev=False)
    parser.unknown_name = "vllm"
    parser.add_argument("model_tag", nargs="?", default=None)
    add_flags(parser, "vllm.flags")
    given = vars(parser.parse([argument if "=" in argument else _dashes(argument) for argument in arguments]))
    model = given.pop("model_tag") or given.get("model")
    if not model:
        parser.error("the following arguments are required: model_tag")
    names = given.get("served_model_name") or [model]
    return ServeOptions(
        model=model,
        given=given,
        arguments=arguments,
        host=given.get("host", "0.0.0.0"),
        port=given.get("port", 8000),
        served_names=names,
        ranks=given.get("tensor_parallel_size", 1) * given.get("pipeline_parallel_size", 1),
        backend=given.get("distributed_executor_backend", ""),
        nnodes=given.get("nnodes", 1),
        node_rank=given.get("node_rank", 0),
        master=(given.get("master_addr", "127.0.0.1"), given.get("master_port", 29501)),
        headless=given.get("headless", False),
        eager=given.get("enforce_eager", False),
        timeout=given.get("distributed_timeout_seconds", 1800),
    )


def _dashes(argument: str) -> str:
    """vLLM takes `--max_model_len` for `--max-model-len`."""
    return argument.replace("_", "-") if argument.startswith("--") else argument


def check_model(options: ServeOptions) -> tuple[Path, int, str]:
    """Directory, context length and architecture; raises `Refused` in vLLM's words where flags do not suit it."""
    directory = checks.find_model(options.model)
    config = checks.configuration(directory)
    longest = config.get("max_position_embeddings", 4096)
    wanted = options.given.get("max_model_len", longest)
    wanted = longest if wanted == -1 else wanted
    if wanted > longest:
        raise checks.Refused(
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
            f"  Value error, User-specified max_model_len ({wanted}) is greater than the derived max_model_len "
            f"(max_position_embeddings={float(longest)} or model_max_length=None in model's config.json). "
            "[type=value_error, input_value=ArgsKwargs(()), input_type=ArgsKwargs]"
        )
    heads = config.get("num_attention_heads", 1)
    tensor_parallel = options.given.get("tensor_parallel_size", 1)
    if heads % tensor_parallel:
        raise checks.Refused(
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for VllmConfig\n"
            f"  Value error, Total number of attention heads ({heads}) must be divisible by tensor parallel size "
            f"({tensor_parallel}). [type=value_error, input_value=ArgsKwargs(()), input_type=ArgsKwargs]"
        )
    return directory, wanted, config["architectures"][0]


def version_or_usage(arguments: list[str]) -> None:
    """Answer `vllm --version`, and end for anything that is not `serve`."""
    if arguments[:1] in (["--version"], ["-v"]):
        sys.stdout.write("0.32.0\n")
        sys.exit(0)
    if arguments[:1] != ["serve"]:
        sys.stderr.write(f"usage: {_USAGE}\nvllm: error: argument subparser: invalid choice: {arguments[:1]}\n")
        sys.exit(2)
