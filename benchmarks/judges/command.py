"""The command line of the judges: an engine's release recomputes rows with its own code, and what moved is printed."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.judges import report, rows
from benchmarks.judges.environment import TORCH, Environment, JudgeError, environment
from benchmarks.judges.llama import judge as llama

ROOT = Path(__file__).resolve().parents[2]
GIB = 1 << 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge one release; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.engine == "llama":
        return _llama(options)
    given = rows.read(options.rows, options.only) if options.rows else rows.shipped(options.only, options.engine)
    try:
        with environment(options.engine, options.version, options.torch, options.environment) as made:
            print(f"{options.engine} {options.version} is installed; {len(given.observations)} rows", flush=True)
            found, refused = _judge(made, options, given)
    except JudgeError as error:
        print(error, file=sys.stderr)
        return 1
    before = rows.read([options.before]).observations if options.before else given.observations
    _print(options, before, found, refused)
    if options.write:
        rows.write(found, options.write, f"{options.engine} {options.version}'s own code, no weights")
    return 0


def _llama(options: argparse.Namespace) -> int:
    """Judge one build of llama.cpp; returns the exit code."""
    given = rows.read(options.rows or [llama.KEPT], options.only)
    try:
        judged = llama.judge(options.version, given, options.binary, options.source, options.environment)
    except JudgeError as error:
        print(error, file=sys.stderr)
        return 1
    before = rows.read([options.before]).observations if options.before else given.observations
    _print(options, before, judged.rows, judged.refused)
    print(f"\ntensors counted by us: {judged.weighed - len(judged.files)} of {judged.weighed} files within 0.1 %")
    print("\n".join(judged.files))
    if options.write:
        rows.write(judged.rows, options.write, f"llama.cpp {options.version}'s own llama-server, files without data")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev judge", description=__doc__)
    parser.add_argument("engine", choices=("vllm", "sglang", "llama"), help="whose code computes")
    parser.add_argument("version", help="a release on the package index: 0.33.0; a build of llama.cpp: b11669")
    parser.add_argument("--rows", type=Path, nargs="+", default=[], help="files of rows (the shipped architectures)")
    parser.add_argument("--only", nargs="+", default=[], metavar="ID", help="judge these rows alone")
    parser.add_argument("--weights", action="store_true", help="weigh rows that do not say what they are")
    parser.add_argument("--before", type=Path, help="an earlier result to compare with (the figures of the rows)")
    parser.add_argument("--write", type=Path, help="where the result goes, in the form of the rows")
    parser.add_argument("--torch", default=TORCH, help="the PyTorch to install (%(default)s)")
    parser.add_argument("--environment", type=Path, help="make the environment here and keep it")
    parser.add_argument("--binary", type=Path, help="llama: the llama-server to judge, instead of looking for it")
    parser.add_argument("--source", type=Path, help="llama: a checkout to build it from")
    return parser


def _judge(made: Environment, options: argparse.Namespace, given: rows.Rows) -> tuple[rows.Rows, list[str]]:
    """The judged rows, and a line for each that the engine refused. SGLang's judge plans, it does not weigh."""
    found, refused = rows.Rows(given.configs), []
    for weights in (False, True):
        part = [row for row in given.observations if (rows.is_weights(row) or options.weights) is weights]
        if options.engine == "sglang" and weights:
            refused += [f"{row['id']:28} weights are not judged" for row in part]
            continue
        if not part:
            continue
        answers = _run(made, options.engine, "weights" if weights else "plans", given.configs, part)
        for row in part:
            answer = answers.get(row["id"], {"refused": "no answer"})
            if "refused" in answer:
                refused.append(f"{row['id']:28} {row['inputs'].get('hf_config', '')}: {answer['refused']}")
            else:
                found.observations.append(_row(options, row, answer["observed"]))
    return found, refused


def _run(
    made: Environment, engine: str, what: str, configs: Mapping[str, Any], part: list[dict[str, Any]]
) -> dict[str, Any]:
    """Run the judge inside of the environment; answers by id."""
    with tempfile.TemporaryDirectory() as folder:
        job, result = Path(folder) / "job.json", Path(folder) / "result.jsonl"
        job.write_text(
            json.dumps({"what": what, "compiled": made.compiled, "configs": configs, "rows": part}, default=str)
        )
        result.touch()
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [str(made.python), "-m", f"benchmarks.judges.{engine}.run", str(job), str(result)]
        log = Path(folder) / "log"
        with log.open("w") as said:
            done = subprocess.run(command, env=environ, cwd=ROOT, stdout=said, stderr=said, check=False)
        if done.returncode:
            raise JudgeError(f"the judge of {what} failed:\n{log.read_text()[-3000:]}")
        answers = [json.loads(line) for line in result.read_text().splitlines()]
    return {answer["id"]: answer for answer in answers}


def _row(options: argparse.Namespace, row: Mapping[str, Any], observed: dict[str, Any]) -> dict[str, Any]:
    """One judged row in the form of the files."""
    inputs = dict(row["inputs"])
    for key in ("max_model_len", "max_num_batched_tokens", "max_num_seqs"):
        if observed.get(key) is not None:
            inputs[key] = observed.pop(key)
    needed = observed.pop("needed_bytes", None)
    if needed is not None:
        observed["needed_gib_at_max_len"] = needed / GIB
    return {
        "id": row["id"],
        "runtime": f"{options.engine} {options.version}",
        "hardware": rows.HARDWARE,
        "inputs": inputs,
        "observed": observed,
    }


def _print(
    options: argparse.Namespace, before: Sequence[Mapping[str, Any]], found: rows.Rows, refused: Sequence[str]
) -> None:
    changed = report.moved(before, found)
    print(f"\nmoved: {len(changed)} of {len(found.observations)} rows")
    print("\n".join(changed))
    print(f"\nnot planned: {len(refused)}")
    print("\n".join(refused))
    lines, scores = report.estimate(found)
    print("\nour estimate beside it (rows that are off first):")
    print("\n".join(lines))
    right = sum(not report.is_off(score) for score in scores)
    near = f"all figures within {report.NEAR} % on {right} of {len(scores)} rows ({report.share(scores):.1f} %)"
    print(f"{options.engine} {options.version}: {near}; {len(changed)} moved, {len(refused)} not planned")
