"""The first cause of a failure, out of logs as engines and hosts print them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sparkrun_tui
from sparkrun_tui.base.units import GIB
from sparkrun_tui.launch.diagnosis.diagnose import Diagnosis, ExitInfo, GuardInfo, diagnose, explain_refusal
from sparkrun_tui.launch.record.logs import LogLine
from tests.launch.diagnosed import ECHOES, KV_TOO_SMALL, OOM, VALUES, diagnosed, overrides

ROOT = Path(sparkrun_tui.__file__).parent


def test_kv_cache_too_small_with_its_three_repairs() -> None:
    line = f"(EngineCore pid=31) ERROR 03-01 10:42:55 [core.py:1510] {KV_TOO_SMALL}"
    found = diagnosed("(EngineCore pid=31) INFO 03-01 10:42:50 [a.py:1] fine", line, *ECHOES)
    assert found.host == "spark-1"
    assert found.title == "KV cache too small for the context"
    assert "262144 tokens needs 9.1 GiB" in found.explanation
    assert "6.6 GiB are there" in found.explanation
    assert "estimated maximum model length" in found.evidence
    assert overrides(found) == {
        "max_model_len": "190272",
        "gpu_memory_utilization": "0.83",
        "kv_cache_dtype": "fp8",
    }
    assert found.repairs[0].title == "max_model_len 262144 → 190272"
    assert found.repairs[1].why == "the host keeps 21 GiB"


def test_a_fraction_that_would_starve_the_host_is_not_offered() -> None:
    found = diagnosed(KV_TOO_SMALL, values={**VALUES, "gpu_memory_utilization": "0.92"})
    assert "gpu_memory_utilization" not in overrides(found)
    assert "gpu_memory_utilization" not in overrides(diagnosed(KV_TOO_SMALL, memory_total=None))


def test_the_start_check_from_its_four_numbers() -> None:
    found = diagnosed(
        "(EngineCore pid=31) ERROR 03-01 10:00:00 [core.py:9] ValueError: Free memory on device cuda:0 "
        "(98.75/121.63 GiB) on startup is less than desired GPU memory utilization (0.85, 103.38 GiB). Decrease it."
    )
    assert "98.75 of 121.63 GiB" in found.explanation
    assert "103.38 GiB" in found.explanation
    # A Spark keeps 8 GiB of what was free.
    assert overrides(found) == {"gpu_memory_utilization": "0.74"}
    starved = diagnosed(
        "ValueError: Free memory on device cuda:0 (2.8/121.63 GiB) on startup is less than desired GPU memory "
        "utilization (0.85, 103.38 GiB)."
    )
    assert overrides(starved) == {}
    assert "stop other programs that hold memory" in starved.repairs[0].title


def test_the_totals_line_is_not_the_error_it_begins_like() -> None:
    line = (
        "(Worker pid=9) INFO 03-01 10:00:00 [w.py:1] Free memory on device (110.2/121.6 GiB) on startup. Desired GPU "
        "memory utilization is (0.8, 97.3 GiB). Actual usage is 40.1 GiB for consumed memory (weights + non-torch)"
    )
    assert diagnose("vllm", {"spark-1": [line]}) is None


@pytest.mark.parametrize(
    ("before", "said", "keys"),
    [
        ("Starting to load model acme/falcon...", "while it loaded the weights", set()),
        (
            "[backbone] Dynamo bytecode transform time: 4.1 s",
            "while it tried a full batch",
            {"max_num_batched_tokens", "max_num_seqs"},
        ),
        ("Capturing CUDA graphs:  10%|", "while it captured CUDA graphs", {"gpu_memory_utilization", "enforce_eager"}),
        ("INFO:     Application startup complete.", "while it served", {"gpu_memory_utilization"}),
    ],
)
def test_out_of_memory_is_mended_by_the_phase_it_came_in(before: str, said: str, keys: set[str]) -> None:
    found = diagnosed(before, OOM)
    assert said in found.explanation
    assert "20.00 GiB" in found.explanation
    assert set(overrides(found)) == keys


def test_a_starved_driver_is_not_a_matter_of_the_fraction() -> None:
    found = diagnosed(
        "    free, total = torch.cuda.mem_get_info()", "torch.AcceleratorError: CUDA error: out of memory"
    )
    assert found.title == "The driver has no memory to give"
    assert overrides(found) == {}


def test_echoes_are_never_the_cause() -> None:
    assert diagnose("vllm", {"spark-1": ECHOES}) is None
    lines = ["EngineDeadError: EngineCore encountered an issue.", "RuntimeError: cancelled", "Initialization failed."]
    assert diagnose("vllm", {"spark-1": lines}) is None


def test_an_unknown_exception_of_the_deepest_process() -> None:
    found = diagnosed(
        "(APIServer pid=1) ERROR 03-01 10:00:04 [a.py:1] LookupError: shallow",
        "(EngineCore pid=2) ERROR 03-01 10:00:04 [a.py:1] KeyError: 'middle'",
        "(EngineCore pid=2) (Worker_TP0 pid=9) ERROR 03-01 10:00:05 [b.py:2] mylib.KernelError: wrong shape",
        "(Worker_TP0 pid=9) ERROR 03-01 10:00:05 [b.py:2] RuntimeError: later",
        *ECHOES,
    )
    assert (found.title, found.explanation) == (
        "Cause not known: KernelError",
        "The engine failed with KernelError: wrong shape",
    )


def test_a_warning_is_not_a_failure() -> None:
    lines = [
        "(APIServer pid=1) WARNING 03-01 10:00:04 [a.py:1] OSError: [Errno 98] Address already in use",
        "(APIServer pid=1) INFO 03-01 10:00:04 [a.py:1] 401 Client Error, trying without a token",
    ]
    assert diagnose("vllm", {"spark-1": lines}) is None


def test_the_cause_on_another_host_beats_the_head_that_waited() -> None:
    found = diagnose(
        "vllm",
        {
            "spark-1": [
                "DistStoreError: Timed out after 1801 seconds waiting for clients. 1/2 clients joined.",
                *ECHOES,
            ],
            "spark-2": ["huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached snapshot"],
        },
    )
    assert found is not None
    assert (found.host, found.title) == ("spark-2", "The model is not on this host")


def test_alone_the_wait_is_the_cause() -> None:
    found = diagnosed("DistStoreError: Timed out after 41 seconds waiting for clients. 1/2 clients joined.")
    assert found.explanation == "The head waited 41 seconds; 1 of 2 ranks joined."


def test_with_times_the_earliest_of_equals_wins() -> None:
    late = LogLine(20.0, "stderr", "SafetensorError: late")
    early = LogLine(10.0, "stderr", "OSError: [Errno 28] No space left on device")
    found = diagnose("vllm", {"spark-1": [late], "spark-2": [early]})
    assert found is not None
    assert found.host == "spark-2"


def test_a_killed_worker_after_readiness() -> None:
    found = diagnosed(
        "INFO:     Application startup complete.",
        "(EngineCore pid=31) ERROR 03-01 10:00:21 [m.py:1] Worker proc VllmWorker-0 died unexpectedly (exit code: -9),",
        "(EngineCore pid=31) ERROR 03-01 10:00:21 [core.py:1] EngineCore encountered a fatal error.",
        "RuntimeError: cancelled",
    )
    assert found.title == "A worker process was killed"
    assert overrides(found) == {"gpu_memory_utilization": "0.75"}


@pytest.mark.parametrize(
    ("ended", "title"),
    [
        (ExitInfo(137), "Killed"),
        (ExitInfo(137, restarted=True), "The host was restarted"),
        (ExitInfo(None, restarted=True), "The host was restarted"),
        (ExitInfo(137, oom_killed=True), "Killed: the container's memory limit"),
        (ExitInfo(139), "Crashed"),
        (ExitInfo(0), "Ended by itself"),
        (ExitInfo(1), "Ended with an error"),
    ],
)
def test_without_a_word_the_exit_is_the_cause(ended: ExitInfo, title: str) -> None:
    found = diagnose("vllm", {"spark-1": ["nothing"]}, {"spark-1": ended}, values=VALUES)
    assert found is not None
    assert (found.host, found.title) == ("spark-1", title)
    assert found.repairs


def test_without_a_cause_the_last_line_that_speaks_of_a_failure_is_shown() -> None:
    lines = ["INFO 03-01 10:42:50 [a.py:1] failed to find the optional zebra", "zebra initialization failed", "bye"]
    found = diagnose("vllm", {"spark-1": lines}, {"spark-1": ExitInfo(1)})
    assert found is not None
    assert found.title == "Ended with an error"
    assert found.evidence == "zebra initialization failed"
    found = diagnose("vllm", {"spark-1": lines[:1]}, {"spark-1": ExitInfo(1)})
    assert found is not None
    assert found.evidence == "the container ended with exit code 1"


def test_a_shorter_context_is_no_repair_where_a_fraction_sizes_the_cache() -> None:
    exits = {"spark-1": ExitInfo(137, guard=GuardInfo(stopped=True, left=3 * GIB, floor=4 * GIB))}
    found = diagnose("vllm", {"spark-1": []}, exits, values={"gpu_memory_utilization": "0.9", "max_model_len": "65536"})
    assert found is not None and overrides(found) == {"gpu_memory_utilization": "0.85"}
    found = diagnose("llama-cpp", {"spark-1": []}, exits, values={"ctx_size": "65536"})
    assert found is not None and overrides(found) == {"ctx_size": "32768"}


def test_our_own_stop_is_no_failure() -> None:
    exits = {"spark-1": ExitInfo(137, stopped_by_us=True), "spark-2": ExitInfo(None)}
    assert diagnose("vllm", {"spark-1": []}, exits) is None


def test_a_word_beats_the_exit() -> None:
    found = diagnose("vllm", {"spark-1": [OOM]}, {"spark-1": ExitInfo(1)})
    assert found is not None
    assert found.title == "Out of GPU memory"


def test_repairs_speak_of_the_recipes_own_keys() -> None:
    values = {"context_length": "262144", "mem_fraction_static": "0.8"}
    found = diagnosed(KV_TOO_SMALL, values=values)
    assert overrides(found)["context_length"] == "190272"
    assert overrides(found)["mem_fraction_static"] == "0.83"


def test_evidence_is_safe_to_draw() -> None:
    found = diagnosed("\x1b[31mOSError: [Errno 98] Address already in use\x1b]0;title\x07\x1b[0m")
    assert found.evidence == "OSError: [Errno 98] Address already in use"


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ('could not select device driver "" with capabilities: [[gpu]]', "Docker has no GPU on this host"),
        ("failed to discover GPU vendor from CDI: no known GPU vendor found", "Docker has no GPU on this host"),
        (
            "failed to create task for container: OCI runtime create failed\n"
            "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0, please update your driver",
            "The driver is too old for the image",
        ),
        ("nvidia-container-cli: initialization error: driver/library version mismatch", "The driver was updated"),
        ("error setting rlimit type 8: operation not permitted", "Docker may not raise limits on this host"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", "The image is for another processor"),
        ("manifest for registry.test/engine:1 not found: manifest unknown", "The image's tag does not exist"),
        ("pull access denied for vllm-node, repository does not exist", "The image cannot be pulled"),
        ("failed to register layer: write /usr/lib/x.so: no space left on device", "The disk is full"),
        ('exec: "bash": executable file not found in $PATH: unknown', "The image lacks a program"),
    ],
)
def test_what_docker_refuses_is_explained(words: str, title: str) -> None:
    found = explain_refusal(words, "spark-1", {})
    assert found is not None and found.title.startswith(title)
    assert found.explanation and found.repairs and found.evidence in words


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0", "The driver is too old"),
        ("nvidia-container-cli: initialization error: nvml error: driver/library version mismatch", "The driver was"),
    ],
)
def test_a_cause_in_a_later_line_of_dockers_refusal_stands_alone(line: str, title: str) -> None:
    diagnosis = Diagnosis("vllm")
    refusal = "OCI runtime create failed: error running hook: exit status 1, stdout: , stderr: Auto-detected mode"
    diagnosis.read("spark-1", [refusal, line])
    (found,) = diagnosis.ranked()
    assert found.title.startswith(title)
    assert diagnosis.result() == found


def test_the_next_line_of_a_refusal_that_no_rule_knows_is_shown() -> None:
    refusal = "OCI runtime create failed: error running hook: exit status 1, stdout: , stderr: Auto-detected mode"
    found = diagnose("vllm", {"spark-1": [refusal, "nvidia-container-cli: strange error"]})
    assert found is not None and found.title == "Docker cannot start the container"
    assert "Auto-detected mode nvidia-container-cli: strange error" in found.explanation
    assert ": ," not in found.explanation


def test_words_of_docker_that_no_rule_knows() -> None:
    assert explain_refusal("the moon is full", "spark-1", {}) is None


def test_words_below_a_colon_are_of_the_same_process_only() -> None:
    found = diagnosed(
        "(Worker_TP0 pid=2) ERROR 03-01 10:00:00 [a.py:1] ZebraError:",
        "(APIServer pid=1) INFO 03-01 10:00:00 [a.py:1] still waiting",
        "(Worker_TP0 pid=2) ERROR 03-01 10:00:00 [a.py:1] three stripes are missing",
        "(Worker_TP0 pid=2) INFO 03-01 10:00:01 [a.py:1] shutting down",
        "(Worker_TP0 pid=2) ERROR 03-01 10:00:02 [a.py:1] something else",
    )
    assert found.title == "Cause not known: ZebraError"
    assert found.explanation == "The engine failed with ZebraError: three stripes are missing"
    assert "three stripes are missing" in found.evidence


def test_an_exception_raised_while_another_was_handled_takes_its_place() -> None:
    lines = [
        "KeyError: 'stripes'",
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        "Traceback (most recent call last):",
        "ZebraError: it has no stripes",
        "OkapiError: a later one",
    ]
    assert diagnosed(*lines).explanation == "The engine failed with ZebraError: it has no stripes"


def test_the_first_cause_wins_over_later_ones_of_other_ranks() -> None:
    first = LogLine(10.0, "stderr", "OSError: [Errno 28] No space left on device")
    later = LogLine(11.0, "stderr", f"(Worker_TP0 pid=2) ERROR 03-01 10:00:00 [a.py:1] {OOM}")
    found = diagnose("vllm", {"spark-1": [later], "spark-2": [first]}, values=VALUES)
    assert found is not None
    assert (found.host, found.title) == ("spark-2", "The disk is full")


@pytest.mark.parametrize(
    "prefix",
    [
        "vllm-1  | (Worker_TP0 pid=2) ERROR 03-01 10:00:00 [a.py:1] ",
        "Aug 19 18:34:27 spark-1 vllm[8727]: (EngineCore pid=8727) ",
        "ERROR 12-09 00:49:29 engine.py:366] ",
        "[rank0]: ",
    ],
)
def test_lines_as_compose_the_journal_and_older_engines_write_them(prefix: str) -> None:
    assert diagnosed(f"{prefix}ZebraError: no stripes").title == "Cause not known: ZebraError"


def test_a_registry_that_limits_pulls() -> None:
    text = "toomanyrequests: You have reached your unauthenticated pull rate limit"
    found = explain_refusal(text, "spark-1", VALUES)
    assert found is not None
    assert found.title == "Too many requests"


CODE = '  File "/usr/lib/python3.12/multiprocessing/synchronize.py", line 115, in __setstate__'


def test_a_rule_for_code_looks_at_code_only() -> None:
    line = "self._semlock = _multiprocessing.SemLock._rebuild(*state)"
    found = diagnosed(CODE, f"    {line}", "FileNotFoundError: [Errno 2] No such file or directory")
    assert found.title == "Ranks on several hosts through local processes"
    assert diagnosed(line, "FileNotFoundError: x").title == "Cause not known: FileNotFoundError"


def test_words_in_the_code_of_a_traceback_are_no_cause() -> None:
    lines = [
        '  File "/opt/zebra/herd.py", line 600, in check_enough_kv_cache_memory',
        '    raise ValueError("No available memory for the cache blocks. "',
        "          ^^^^^^^^^^^^^^^^^^^^^",
        "ZebraError: no stripes",
    ]
    assert diagnosed(*lines).title == "Cause not known: ZebraError"


def test_an_exception_that_python_ignores_is_none() -> None:
    lines = [
        "Exception ignored in: <function Pool.__del__ at 0x7f00>",
        "Traceback (most recent call last):",
        '  File "/usr/lib/python3.12/pool.py", line 9, in __del__',
        "    self.close()",
        "OSError: [Errno 28] No space left on device",
    ]
    assert diagnose("vllm", {"spark-1": lines}) is None
    assert diagnosed(*lines, "ZebraError: no stripes").title == "Cause not known: ZebraError"


def test_what_the_start_survived_is_not_its_cause() -> None:
    early = "(EngineCore pid=2) ERROR 03-01 10:00:00 [a.py:1] OSError: [Errno 28] No space left on device"
    loading = "(EngineCore pid=2) INFO 03-01 10:00:10 [m.py:1] Starting to load model acme/falcon..."
    late = "(EngineCore pid=2) ERROR 03-01 10:00:20 [a.py:1] ZebraError: no stripes"
    assert diagnosed(early).title == "The disk is full"
    assert diagnosed(early, loading).title == "The disk is full"
    assert diagnosed(early, loading, late).title == "Cause not known: ZebraError"
    ready = "(APIServer pid=1) INFO:     Application startup complete."
    assert diagnose("vllm", {"spark-1": [early, loading, ready]}) is None
    assert diagnosed(early, loading, ready, late).title == "Cause not known: ZebraError"


def test_what_another_worker_does_says_nothing_of_the_one_that_failed() -> None:
    full = "(Worker_TP1 pid=3) ERROR 03-01 10:00:00 [a.py:1] OSError: [Errno 28] No space left on device"
    other = "(Worker_TP0 pid=2) INFO 03-01 10:00:10 [m.py:1] Loading weights took 9.1 seconds"
    late = "(Worker_TP0 pid=2) ERROR 03-01 10:00:20 [a.py:1] ZebraError: no stripes"
    assert diagnosed(full, other, late).title == "The disk is full"


@pytest.mark.parametrize(
    "prefix",
    [
        "[2026-03-01 10:00:00] WARNING model_config.py:911: ",
        "WARNING:  ",
        "WARNING:root:",
        "W0301 10:00:00.123000 140 torch/utils/cpp_extension.py:118] ",
        "[W301 10:00:00.794554547 socket.cpp:464] ",
        "/usr/lib/python3.12/site-packages/x.py:594: FutureWarning: ",
        "2026-03-01 10:00:00.275 | WARNING  | mineru.utils:go:46 - ",
        "Falling back to CPU: ",
        "Ignore import error when loading x: ",
    ],
)
def test_lines_of_programs_that_go_on_are_no_cause(prefix: str) -> None:
    words = "libcuda.so.1: cannot open shared object file"
    assert diagnose("vllm", {"spark-1": [prefix + words]}) is None
    assert diagnosed(f"ImportError: {words}").title == "No GPU in the container"


def test_rules_for_docker_do_not_read_what_an_engine_says() -> None:
    words = "dial tcp 10.0.0.9:443: i/o timeout"
    assert diagnosed(words).title == "The registry cannot be reached"
    assert diagnose("vllm", {"spark-1": [f"(APIServer pid=1) ERROR 03-01 10:00:00 [a.py:1] {words}"]}) is None


def test_a_rule_for_a_kind_never_beats_an_exception_of_its_own() -> None:
    kind = "ModuleNotFoundError: No module named 'okapi'"
    own = "ZebraError: no stripes"
    assert diagnosed(kind).title == "The image lacks a Python package"
    assert diagnosed(kind, own).title == "Cause not known: ZebraError"
    direct = "The above exception was the direct cause of the following exception:"
    assert diagnosed(kind, "", direct, "", own).title == "The image lacks a Python package"


def test_a_warning_that_counts_does_not_beat_an_error_that_counts() -> None:
    noted = "(Worker_TP0 pid=2) WARNING 03-01 10:00:00 [a.py:1] [Errno 28] No space left on device"
    assert diagnosed(noted).title == "The disk is full"
    assert diagnosed(noted, f"(Worker_TP0 pid=2) ERROR 03-01 10:00:01 [a.py:1] {OOM}").title == "Out of GPU memory"


def test_no_memory_is_a_damaged_file_only_while_a_file_is_read() -> None:
    assert diagnosed("MemoryError").title == "The host is out of memory"
    frame = '  File "/opt/vllm/model_loader/weight_utils.py", line 9, in safetensors_weights_iterator'
    assert diagnosed(frame, "    f.get_tensor(name)", "MemoryError").title == "A file of the model is damaged"


@pytest.mark.parametrize(
    ("line", "port", "sets"),
    [
        ("OSError: [Errno 98] error while attempting to bind on ('0.0.0.0', 8000): address already in use", 8000, 1),
        ("OSError: [Errno 98] Address already in use", 8000, 1),
        ("RuntimeError: [Errno 98] Address already in use, port: 29500", 29500, 0),
    ],
)  # fmt: skip
def test_the_port_that_is_taken_is_the_one_that_the_line_names(line: str, port: int, sets: int) -> None:
    found = diagnosed(line)
    assert (found.title, len(overrides(found))) == ("The port is taken", sets)
    assert f"port {port} " in found.explanation


@pytest.mark.parametrize(
    ("code", "title", "words"),
    [
        ("-9", "A worker process was killed", "killed from outside"),
        ("-11", "A worker process ended without a message", "segmentation fault"),
        ("1", "A worker process ended without a message", "exit code 1."),
    ],
)
def test_how_a_worker_ended(code: str, title: str, words: str) -> None:
    found = diagnosed(f"Worker proc VllmWorker-0 died unexpectedly (exit code: {code}), shutting down executor.")
    assert found.title == title
    assert words in found.explanation
    assert bool(overrides(found)) == (code == "-9")


def traceback(*places: str, says: str) -> list[str]:
    """A traceback of an engine process through files and functions, `FILE in FUNCTION` each."""
    lines = ["Traceback (most recent call last):"]
    for place in places:
        file, _, function = place.partition(" in ")
        lines += [f'  File "{file}", line 7, in {function}', "    stripes()", "    ^^^^^^^^^"]
    return [*lines, says]


SITE = "/usr/local/lib/python3.12/dist-packages"


@pytest.mark.parametrize(
    ("places", "says", "title", "repair"),
    [
        (
            [f"{SITE}/vllm/v1/spec_decode/eagle.py in propose"],
            "RuntimeError: no stripes",
            "Drafting does not work with this version",
            "leave out the drafter",
        ),
        (
            [f"{SITE}/vllm/model_executor/models/zebra.py in load_weights", f"{SITE}/torch/_tensor.py in narrow"],
            "RuntimeError: no stripes",
            "The weights do not fit the engine's model",
            "newer image",
        ),
        (
            [f"{SITE}/vllm/config/model.py in verify"],
            "ValueError: no stripes",
            "A setting is refused",
            "correct it in the recipe",
        ),
        (
            [f"{SITE}/vllm/config/model.py in verify"],
            "KeyError: 'stripes'",
            "This version of the engine cannot do this",
            "newer image",
        ),
        (
            [f"{SITE}/flashinfer/jit/core.py in build", "/usr/lib/python3.12/subprocess.py in run"],
            "ValueError: no stripes",
            "A kernel of flashinfer failed",
            "attention_backend",
        ),
        (
            [f"{SITE}/flashinfer/jit/core.py in build", f"{SITE}/zebra/herd.py in run"],
            "ValueError: no stripes",
            "The package zebra of the image failed",
            "newer image",
        ),
        (["/opt/zebra/herd.py in run"], "ValueError: no stripes", "Cause not known: ValueError", ""),
        (
            [f"{SITE}/vllm/model_executor/models/zebra.py in __init__"],
            "ValueError: no stripes",
            "The engine's code for this model failed",
            "newer image",
        ),
        (
            [f"{SITE}/vllm/v1/engine/zebra.py in run"],
            "RuntimeError: no stripes",
            "The engine's own code failed",
            "newer image",
        ),
        (
            [f"{SITE}/vllm/v1/engine/zebra.py in run"],
            "ConnectionError: no stripes",
            "Cause not known: ConnectionError",
            "",
        ),
    ],
)
def test_an_exception_without_a_rule_by_its_place(places: list[str], says: str, title: str, repair: str) -> None:
    found = diagnosed(*traceback(*places, says=says))
    assert found.title == title
    assert says.partition(": ")[2] in found.explanation
    assert repair in "".join(item.title for item in found.repairs)
    assert bool(found.repairs) == bool(repair)


def test_frames_of_an_earlier_traceback_are_not_of_the_next() -> None:
    first = traceback(f"{SITE}/flashinfer/core.py in run", says="ValueError: no stripes")
    second = traceback("/opt/zebra/herd.py in run", says="ZebraError: no herd")
    assert diagnosed(*second, *first).title == "Cause not known: ZebraError"
    assert diagnosed(*first[:-1], *second).title == "Cause not known: ZebraError"


def test_a_refusal_names_the_settings_that_its_words_name() -> None:
    found = diagnosed("ValueError: --zebra-mode is not supported with max_num_seqs above 8 and okapi_size below 2")
    assert found.title == "A setting does not fit"
    titles = [repair.title for repair in found.repairs]
    assert titles == ["leave out --zebra-mode, or change it", "leave out max_num_seqs, or change it"]
    assert diagnosed("ValueError: zebras are not supported on this GPU").title == "The engine does not support this"
    assert diagnosed("ValueError: the zebra is lame").title == "Cause not known: ValueError"
    assert diagnosed("ZebraError: --stripes is not supported").title == "Cause not known: ZebraError"


def test_words_of_an_exception_in_the_next_line_are_not_another_one() -> None:
    found = diagnosed("torch._dynamo.exc.BackendCompilerFailed: backend='inductor' raised:", "TypeError: no stripes")
    assert found.title == "The model could not be compiled"
    assert "TypeError: no stripes" in found.explanation


def test_the_exit_code_in_an_echo_is_the_last_resort() -> None:
    echo = "RuntimeError: Engine core initialization failed. Failed core proc(s): {'EngineCore': -11}"
    found = diagnosed(echo)
    assert found.title == "The engine process ended without a message"
    assert "segmentation fault" in found.explanation
    assert diagnosed("ZebraError: no stripes", echo).title == "Cause not known: ZebraError"


def test_a_rule_of_one_engine_does_not_miss_another_engines_module() -> None:
    line = "ModuleNotFoundError: No module named 'vllm'"
    assert diagnosed(line).title == "The image lacks the engine"
    assert diagnosed(line, engine="sglang").title == "The image lacks a Python package"
    assert (
        diagnosed("ModuleNotFoundError: No module named 'vllm.core'").title == "The engine's installation is incomplete"
    )


def test_lines_of_docker_desktop_and_of_the_journal_are_read_as_the_engine_wrote_them() -> None:
    told = "ERROR 05-01 16:52:10 [core.py:1136] ZebraError: no stripes"
    for before in (
        "2026-05-01 18:52:10.981 | ",
        "2026-08-18T19:11:16+0200 host vllm[7]: ",
        "May  1 18:52:10 host vllm[7]: ",
    ):
        assert diagnosed(f"{before}(EngineCore pid=7) {told}").title == "Cause not known: ZebraError"


def test_what_a_drafter_fails_with_is_told_of_the_drafter() -> None:
    lines = [
        '  File "/opt/vllm/v1/spec_decode/eagle.py", line 9, in load_model',
        '  File "/opt/vllm/model_executor/models/utils.py", line 9, in load_weights',
        "TypeError: no stripes",
    ]
    assert diagnosed(*lines).title == "Drafting does not work with this version"


def test_a_feature_that_is_refused_is_named_by_its_key() -> None:
    found = diagnosed("NotImplementedError: Prefix caching is not supported with stripes")
    assert overrides(found) == {"enable_prefix_caching": "false"}


def test_a_heading_of_refused_settings_is_no_cause_of_its_own() -> None:
    lines = [
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "  Value error, Model architectures ['Zebra'] failed to be inspected. Please check. [type=value_error]",
    ]
    assert diagnosed(*lines).title == "The model's code cannot be loaded"


def test_what_an_engine_repeats_of_its_worker_is_read_as_the_worker_wrote_it() -> None:
    found = diagnosed(
        "(EngineCore pid=7) ERROR [core.py:500] RuntimeError: Worker failed with error ''_OpNamespace' '_C' object has "
        "no attribute 'stripes'', please check the stack trace above for the root cause"
    )
    assert found.title == "The engine's compiled part is not loaded"
    unknown = diagnosed("RuntimeError: Worker failed with error 'no stripes', please check the stack trace above")
    assert unknown.title == "Cause not known: RuntimeError"
    assert unknown.explanation == "The engine failed with RuntimeError: no stripes"


def test_a_kernel_that_a_drafter_called_may_be_avoided_without_the_drafter() -> None:
    says = "torch.AcceleratorError: CUDA error: device-side assert triggered"
    without = "leave out the drafter: speculative_config, speculative_algorithm"
    drafting = diagnosed(*traceback(f"{SITE}/vllm/v1/spec_decode/eagle.py in propose", says=says))
    assert drafting.title == "A kernel crashed on the GPU"
    assert drafting.repairs[-1].title == without
    other = diagnosed(*traceback(f"{SITE}/vllm/v1/worker/gpu_worker.py in run", says=says))
    assert without not in [repair.title for repair in other.repairs]


def test_a_refused_setting_is_named_by_its_words() -> None:
    refused = "  Value error, {} [type=value_error, input_value=1]"
    found = diagnosed(refused.format("Model Runner V2 does not yet support: speculative decoding with stripes"))
    assert found.title == "A setting is refused"
    titles = [repair.title for repair in found.repairs]
    assert titles[0] == "change speculative_config"
    assert overrides(found) == {"env.VLLM_USE_V2_MODEL_RUNNER": "0"}
    assert titles[-1] == "correct it in the recipe or the overrides"
    found = diagnosed(refused.format("max_num_seqs is odd"))
    assert found.repairs[0].title == "change or leave out max_num_seqs"
    found = diagnosed(refused.format("the zebra is lame"))
    assert found.repairs[0].title == "correct it in the recipe or the overrides"


def test_a_refusal_names_variables_and_values_as_settings() -> None:
    found = diagnosed("ValueError: VLLM_ZEBRA_MODE cannot be used with stripes")
    assert [repair.title for repair in found.repairs] == ["remove VLLM_ZEBRA_MODE from env, or change it"]
    found = diagnosed("AssertionError: extra_buffer is only supported on plains", engine="sglang")
    assert [repair.title for repair in found.repairs] == ["change --mamba-radix-cache-strategy"]
    given = {"zebra_backend": "striped_kernel"}
    found = diagnosed("AssertionError: striped_kernel is only supported on plains", values=given)
    assert [repair.title for repair in found.repairs] == ["change zebra_backend"]


def test_the_line_that_tells_more_is_shown_with_an_exception_of_several_lines() -> None:
    found = diagnosed(
        '(EngineCore pid=7) ERROR [core.py:1] RuntimeError: extern "C"',
        "(EngineCore pid=7) ERROR [core.py:1] __global__ void zebra() {",
        "(EngineCore pid=7) ERROR [core.py:1] }",
        "(EngineCore pid=7) ERROR [core.py:1] zebracc: error: stripes are not supported",
        "(EngineCore pid=7) ERROR [core.py:1] another error",
    )
    assert found.title == "Cause not known: RuntimeError"
    assert found.explanation.endswith('RuntimeError: extern "C" zebracc: error: stripes are not supported')


def test_what_llama_cpp_says_before_the_lines_that_only_pass_it_on() -> None:
    found = diagnosed(
        "0.00.100.264 I srv    load_model: loading model '/models/zebra.gguf'",
        "0.00.174.596 E gguf_init_from_reader: the stripes are required",
        "0.00.180.001 E llama_model_load_from_file_impl: failed to load model",
        "0.00.181.002 E srv  llama_server: exiting due to model loading error",
        engine="llama-cpp",
    )
    assert found.title == "The model could not be loaded"
    assert found.explanation == "llama.cpp says: the stripes are required"


def test_a_repair_sets_only_what_the_engine_knows() -> None:
    crashed = "RuntimeError: CUDA error: initialization error"
    assert overrides(diagnosed(crashed)) == {"env.VLLM_WORKER_MULTIPROC_METHOD": "spawn"}
    assert overrides(diagnosed(crashed, engine="sglang")) == {}
    unknown = "RuntimeError: CUDA error: unspecified zebra"
    assert overrides(diagnosed(unknown)) == {"enforce_eager": "true"}
    assert overrides(diagnosed(unknown, engine="llama-cpp", values={})) == {"env.GGML_CUDA_DISABLE_GRAPHS": "1"}


def test_a_size_that_does_not_divide_asks_for_fewer_ranks() -> None:
    says = "ValueError: the 70 stripes must be divisible by 3"
    found = diagnosed(says)
    fewer = "another tensor_parallel: 1, 2, 4 or 8"
    assert found.repairs[0].title == fewer
    one = diagnosed(says, values={**VALUES, "tensor_parallel": "1"})
    assert fewer not in [repair.title for repair in one.repairs]
    page = diagnosed("ValueError: the page size must be divisible by 16")
    assert fewer not in [repair.title for repair in page.repairs]


def test_a_rank_that_was_ended_while_the_ranks_connected() -> None:
    died = "[2026-08-27 10:05:05] Rank 0 scheduler died during initialization (exit code: -9). See above."
    begins = "[2026-08-27 10:00:00 TP0] Init torch distributed begin."
    ends = "[2026-08-27 10:00:09 TP0] Init torch distributed ends. mem usage=0.1 GB"
    assert diagnosed(begins, died, engine="sglang").title == "The ranks waited for each other"
    assert diagnosed(begins, ends, died, engine="sglang").title == "A rank's process was killed"
    assert diagnosed(died, engine="sglang").title == "A rank's process was killed"


def test_graphs_that_fail_for_want_of_memory_and_for_other_reasons() -> None:
    failed = "Exception: Capture cuda graph failed: {}"
    memory = diagnosed(failed.format("not enough memory for stripes"), engine="sglang")
    assert "gpu_memory_utilization" in overrides(memory)
    other = diagnosed(failed.format("the zebra is lame"), engine="sglang")
    assert overrides(other) == {"enforce_eager": "true"}
    assert other.repairs[0].title == "set attention_backend to triton"


def test_a_value_that_is_not_among_the_allowed_ones_is_told_with_its_setting() -> None:
    words = "  Input should be 'auto' or 'half' [type=literal_error, input_value='zebra', input_type=str]"
    found = diagnosed(
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig", "dtype", words
    )
    assert found.explanation == "The engine refuses `dtype`: Input should be 'auto' or 'half'"
    assert found.repairs[0].title == "correct dtype in the recipe or the overrides"
    found = diagnosed("run this: rm -r /", words)
    assert found.explanation.startswith("The engine refuses a setting: ")
    assert found.repairs[0].title == "correct it in the recipe or the overrides"


def test_the_compilers_own_words_are_shown_with_a_build_that_failed() -> None:
    found = diagnosed(
        "(EngineCore pid=7) ERROR [core.py:1] RuntimeError: Ninja build failed. Ninja output:",
        "(EngineCore pid=7) ERROR [core.py:1] [1/3] nvcc -c zebra.cu -o zebra.o",
        "(EngineCore pid=7) ERROR [core.py:1] zebra.cuh(623): error: class Zebra has no member stripes",
        "(EngineCore pid=7) ERROR [core.py:1] ninja: build stopped: subcommand failed.",
    )
    assert found.title == "Kernels could not be compiled"
    assert found.explanation.endswith("failed. zebra.cuh(623): error: class Zebra has no member stripes")
    assert found.evidence.endswith("class Zebra has no member stripes")


def test_what_containerd_writes_before_a_line_is_left_out() -> None:
    stamp = "2026-06-17T19:51:53.290682000+02:00 stderr F"
    found = diagnosed(
        f"{stamp} [2026-06-17 17:51:53 TP0] Scheduler hit an exception: Traceback (most recent call last):",
        f'{stamp}   File "/usr/lib/sglang/srt/layers/attention/zebra_backend.py", line 21, in forward',
        f"{stamp}     stripes.shape",
        f"{stamp} AttributeError: 'NoneType' object has no attribute 'shape'",
        f"{stamp}",
        engine="sglang",
    )
    assert found.title == "The attention kernel failed"


def test_an_exception_that_speaks_of_the_cache_type_asks_for_another_one() -> None:
    where = [f"{SITE}/flashinfer/zebra.py in plan"]
    other = "kv_cache_dtype auto, or another one"
    found = diagnosed(*traceback(*where, says="ValueError: kv_data_type striped is not known"))
    assert found.repairs[0].title == other
    found = diagnosed(*traceback(*where, says="ValueError: the zebra is lame"))
    assert other not in [repair.title for repair in found.repairs]


def test_blocks_that_do_not_divide_are_not_a_matter_of_ranks() -> None:
    found = diagnosed("ValueError: page_size must be divisible by 3")
    assert "a lower tensor_parallel" not in [repair.title for repair in found.repairs]


def test_a_library_that_everything_calls_is_not_the_place_of_a_failure() -> None:
    places = [f"{SITE}/lmcache/v1/zebra.py in connect", "zmq/backend/cython/_zmq.py in zmq.Socket.connect"]
    found = diagnosed(*traceback(*places, says="zmq.error.ZMQError: Invalid argument"))
    assert found.title == "The KV cache cannot be moved"


def test_what_failed_while_the_cache_was_laid_out_may_be_of_its_type() -> None:
    says = "RuntimeError: shape '[4, 16]' is invalid for input of size 3"
    other = "kv_cache_dtype auto, or another one"
    found = diagnosed(*traceback(f"{SITE}/vllm/v1/worker/zebra.py in _reshape_kv_cache_tensors", says=says))
    assert found.title == "The model and this version do not fit together"
    assert found.repairs[-1].title == other
    found = diagnosed(*traceback(f"{SITE}/vllm/v1/worker/zebra.py in run", says=says))
    assert other not in [repair.title for repair in found.repairs]


def test_the_only_type_that_weights_run_in_is_set() -> None:
    refused = "  Value error, torch.bfloat16 is not supported for quantization method zebra. Supported dtypes: [{}]"
    assert overrides(diagnosed(refused.format("torch.float16"))) == {"dtype": "float16"}
    assert overrides(diagnosed(refused.format("torch.float16, torch.float32"))) == {}


def test_a_refusal_of_docker_without_a_rule_is_told_by_its_innermost_words() -> None:
    text = (
        "docker: Error response from daemon: failed to create task for container: OCI runtime create failed: "
        "runc create failed: unable to start container process: the zebra: is lame: unknown"
    )
    found = explain_refusal(text, "spark-1", {})
    assert found is not None
    assert found.title == "Docker cannot start the container"
    assert found.explanation == "It says: the zebra: is lame"


def test_a_rule_for_a_kind_of_refusals_never_beats_one_for_a_cause_in_a_later_line() -> None:
    first = "OCI runtime create failed: runc create failed: no stripes: unknown"
    found = explain_refusal(f"{first}\nno space left on device", "spark-1", {})
    assert found is not None
    assert found.title == "The disk is full"


@pytest.mark.parametrize(
    ("engine", "file", "repair"),
    [
        ("vllm", "vllm/model_executor/layers/fused_moe/fused_moe.py", "moe_backend"),
        ("sglang", "sglang/srt/batch_invariant_ops/batch_invariant_ops.py", "deterministic"),
        ("vllm", "vllm/model_executor/layers/linear.py", "a newer image"),
    ],
)
def test_the_kernels_that_failed_are_the_first_to_choose_others_for(engine: str, file: str, repair: str) -> None:
    found = diagnose(
        engine,
        {
            "a": [
                "Traceback (most recent call last):",
                f'  File "/usr/lib/python3/dist-packages/{file}", line 582, in apply',
                "    kernel[grid](a)",
                '  File "/usr/lib/python3/dist-packages/triton/compiler/compiler.py", line 490, in _init_handles',
                '    raise OutOfResources(self.metadata.shared, max_shared, "shared memory")',
                "triton.runtime.errors.OutOfResources: out of resource: shared memory, Required: 131072, "
                "Hardware limit: 101376. Reducing block sizes or `num_stages` may help.",
            ]
        },
    )
    assert found is not None and found.title == "A kernel needs more shared memory than the GPU has"
    assert repair in found.repairs[0].title


def test_an_alternative_without_text_is_no_defect() -> None:
    found = diagnosed(
        "ValueError: Model architectures [] are not supported for now. Supported architectures: dict_keys(["
    )
    assert found.title == "The engine does not know this model"
    assert "defect" not in found.explanation


def test_groups_of_alternatives_are_read_in_one_place() -> None:
    # `match[1] or match[2]` is None where the first one is empty and the second one is no part of the match.
    files = [*(ROOT / "launch" / "diagnosis").glob("*.py"), *(ROOT / "engines").glob("*/causes*.py")]
    wrong = []
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.BoolOp) and all(isinstance(value, ast.Subscript) for value in node.values):
                wrong.append(f"{path.name}:{node.lineno}")
    assert len(files) > 10 and wrong == [], "use first_of"
