"""The images that launches use do what they stand for, started with plain docker commands."""

from __future__ import annotations

import time

import pytest
from cluster import Host, models
from cluster.images import Images
from cluster.workstation import Workstation
from fetching import ENGINE_OPTIONS, ask, give_model, logs, wait_for, wait_until_exited

SERVE = ["vllm", "serve", models.CHECKPOINT, "--served-model-name", "tiny", "--port", "8000"]


def start(host: Host, image: str, *command: str, name: str = "engine", env: dict[str, str] | None = None) -> None:
    """A detached container as an engine's."""
    variables = [f"--env={key}={value}" for key, value in ({"STANDIN_SLOW": "0.3"} | (env or {})).items()]
    host.docker("run", "--detach", "--name", name, *ENGINE_OPTIONS, *variables, image, *command)


def test_a_real_llama_server_answers_a_chat(hosts: list[Host], all_images: Images, workstation: Workstation) -> None:
    host = hosts[0]
    give_model(workstation, [host], models.GGUF, models.GGUF_CHOSEN)
    folder = host.run("ls -d /root/.cache/huggingface/hub/models--tiny-lab--tiny-chat-GGUF/snapshots/*").strip()
    flags = ["--host", "0.0.0.0", "--port", "8000", "--ctx-size", "1024", "--alias", "tiny", "--jinja", "-lv", "4"]
    start(host, all_images.llama.reference, "llama-server", "-m", f"{folder}/{models.GGUF_CHOSEN}", *flags)
    wait_for(host, "/health", 200)
    question = {"messages": [{"role": "user", "content": "the word"}], "max_tokens": 8, "ignore_eos": True}
    status, answer = ask(host, "/v1/chat/completions", question)
    assert status == 200, answer
    assert answer["usage"]["completion_tokens"] == 8
    assert ask(host, "/v1/models")[1]["data"][0]["id"] == "tiny"
    text = logs(host, "engine")
    assert "model loaded" in text
    assert "llama_kv_cache: size" in text
    host.docker("stop", "engine")
    assert host.inspect("engine")["State"]["ExitCode"] == 0


@pytest.fixture
def with_model(hosts: list[Host], workstation: Workstation) -> list[Host]:
    """Both hosts, with the checkpoint in their caches."""
    give_model(workstation, hosts, models.CHECKPOINT)
    return hosts


def test_vllm_serves_solo(with_model: list[Host], all_images: Images) -> None:
    host = with_model[0]
    start(host, all_images.standin.reference, *SERVE)
    assert ask(host, "/health")[0] == 0
    wait_for(host, "/health", 200)
    status, answer = ask(host, "/v1/completions", {"model": "tiny", "prompt": "a", "max_tokens": 1})
    assert (status, answer["usage"]["completion_tokens"]) == (200, 1)
    assert ask(host, "/v1/models")[1]["data"][0]["root"] == models.CHECKPOINT
    assert ask(host, "/v1/completions", {"model": "other", "prompt": "a"})[0] == 404
    begun = time.monotonic()
    host.docker("stop", "--time", "20", "engine")
    assert host.inspect("engine")["State"]["ExitCode"] == 0
    assert time.monotonic() - begun < 10
    stdout = host.run("docker logs engine 2>/dev/null")
    assert "GPU KV cache size: 825,904 tokens, Maximum concurrency" in stdout
    assert "Application startup complete." not in stdout
    assert "Application startup complete." in logs(host, "engine")


@pytest.mark.parametrize(
    ("mode", "cause"),
    [
        ("oom", "torch.OutOfMemoryError: CUDA out of memory"),
        ("kv", "To serve at least one request with the model's max seq len"),
        ("load", "SafetensorError: Error while deserializing header"),
        ("busy", "is less than desired GPU memory utilization"),
    ],
)
def test_vllm_fails_to_start_with_a_cause(with_model: list[Host], all_images: Images, mode: str, cause: str) -> None:
    start(with_model[0], all_images.standin.reference, *SERVE, env={"STANDIN_MODE": mode})
    assert wait_until_exited(with_model[0], "engine") == 1
    text = logs(with_model[0], "engine")
    assert cause in text
    assert "Engine core initialization failed. See root cause above. Failed core proc(s): {}" in text


def test_vllm_is_called_wrongly(hosts: list[Host], all_images: Images) -> None:
    host, image = hosts[0], all_images.standin.reference
    start(host, image, *SERVE, "--no-such-flag", "5", name="flag")
    assert wait_until_exited(host, "flag") == 2
    assert "vllm: error: unrecognized arguments: --no-such-flag 5" in logs(host, "flag")
    start(host, image, *SERVE, name="model")
    assert wait_until_exited(host, "model") == 1
    assert "couldn't find them in the cached files" in logs(host, "model")
    start(host, image, *SERVE, "-tp", "2", name="gpus")
    assert wait_until_exited(host, "gpus") == 1


def test_vllm_ends_with_zero_when_its_engine_dies_in_service(with_model: list[Host], all_images: Images) -> None:
    host = with_model[0]
    start(host, all_images.standin.reference, *SERVE, env={"STANDIN_MODE": "crash_after:1"})
    wait_for(host, "/health", 200)
    wait_for(host, "/health", 503)
    assert ask(host, "/v1/models")[0] == 200
    assert wait_until_exited(host, "engine") == 0
    assert "EngineDeadError" in logs(host, "engine")


def test_vllm_does_not_obey_sigterm_while_it_starts(with_model: list[Host], all_images: Images) -> None:
    host = with_model[0]
    start(host, all_images.standin.reference, *SERVE, env={"STANDIN_MODE": "hang"})
    time.sleep(1)
    host.docker("stop", "--time", "2", "engine")
    assert host.inspect("engine")["State"]["ExitCode"] == 137


def ranks(count: int, rank: int) -> list[str]:
    """Flags of a rank without Ray."""
    where = ["--nnodes", str(count), "--node-rank", str(rank), "--master-addr", "10.78.0.11", "--master-port", "25000"]
    return ["-tp", str(count), *where, *(["--headless"] if rank else [])]


def test_vllm_meets_over_two_hosts_without_ray_and_misses_a_lost_rank(
    with_model: list[Host], all_images: Images
) -> None:
    head, worker = with_model
    image = all_images.standin.reference
    start(worker, image, *SERVE, *ranks(2, 1), env={"VLLM_HOST_IP": worker.ip})
    start(head, image, *SERVE, *ranks(2, 0), env={"VLLM_HOST_IP": head.ip})
    wait_for(head, "/health", 200)
    called = ask(head, "/standin")[1]["ranks"]
    assert [call["host"] for call in called] == ["spark-01", "spark-02"]
    worker.docker("kill", "engine")
    time.sleep(1)
    assert ask(head, "/health")[0] == 200
    assert ask(head, "/v1/completions", {"prompt": "a"})[0] == 500
    assert wait_until_exited(head, "engine") == 0
    assert "Connection closed by peer [10.78.0.12" in logs(head, "engine")


def test_a_rank_above_zero_outlives_its_head(with_model: list[Host], all_images: Images) -> None:
    head, worker = with_model
    image = all_images.standin.reference
    start(head, image, *SERVE, *ranks(2, 0), env={"VLLM_HOST_IP": head.ip})
    start(worker, image, *SERVE, *ranks(2, 1), env={"VLLM_HOST_IP": worker.ip})
    wait_for(head, "/health", 200)
    head.docker("stop", "--time", "20", "engine")
    assert head.inspect("engine")["State"]["ExitCode"] == 0
    assert worker.inspect("engine")["State"]["Running"] is True
    worker.docker("stop", "--time", "20", "engine")
    assert worker.inspect("engine")["State"]["ExitCode"] == 0
    assert "workers still running after SIGTERM; sending SIGKILL" in logs(worker, "engine")


def start_ray(hosts: list[Host], image: str) -> None:
    """Ray on both hosts, and wait until it counts them."""
    head, worker = hosts
    begin = ["ray", "start", "--block", "--disable-usage-stats"]
    start(head, image, *begin, "--head", "--port", "46379", "--node-ip-address", head.ip, env={"VLLM_HOST_IP": head.ip})
    joining = ["--address", f"{head.ip}:46379", "--node-ip-address", worker.ip]
    start(worker, image, *begin, *joining, env={"VLLM_HOST_IP": worker.ip})
    deadline = time.monotonic() + 30
    while head.run("docker exec engine ray status", check=False).count(" 1 node_") != 2:
        assert time.monotonic() < deadline, logs(head, "engine") + logs(worker, "engine")
        time.sleep(0.2)


def test_vllm_runs_over_ray_and_notices_a_lost_worker(with_model: list[Host], all_images: Images) -> None:
    head, worker = with_model
    start_ray(with_model, all_images.standin.reference)
    serve = " ".join([*SERVE, "-tp", "2", "--distributed-executor-backend", "ray"])
    head.docker("exec", "--detach", "engine", "bash", "-c", f"{serve} >/proc/1/fd/1 2>&1; echo serve $? >/proc/1/fd/1")
    wait_for(head, "/health", 200)
    called = ask(head, "/standin")[1]["ranks"]
    assert [(call["host"], call["environment"]["VLLM_HOST_IP"]) for call in called] == [
        ("spark-01", "10.78.0.11"),
        ("spark-02", "10.78.0.12"),
    ]
    assert "(RayWorkerProc pid=" in logs(head, "engine")
    assert ", ip=10.78.0.12)" in logs(head, "engine")
    worker.docker("kill", "engine")
    wait_for(head, "/health", 503)
    wait_for(head, "/health", 0)
    assert "serve 0" in logs(head, "engine")
    assert "RayWorkerProc rank=[1] died unexpectedly" in logs(head, "engine")
    assert head.inspect("engine")["State"]["Running"] is True


def test_a_stream_keeps_vllm_from_ending(with_model: list[Host], all_images: Images) -> None:
    host = with_model[0]
    start(host, all_images.standin.reference, *SERVE)
    wait_for(host, "/health", 200)
    question = '{"prompt": "a", "max_tokens": 1000, "stream": true}'
    reader = f"exec 3<>/dev/tcp/{host.ip}/8000; printf 'POST /v1/completions HTTP/1.1\\r\\nHost: x\\r\\n"
    reader += f"Content-Length: {len(question)}\\r\\n\\r\\n{question}' >&3; cat <&3"
    host.run(f"setsid bash -c {quoted(reader)} >/dev/null 2>&1 &")
    deadline = time.monotonic() + 10
    while "num_requests_running" not in (text := ask(host, "/metrics")[1]) or "} 1\n" not in text:
        assert time.monotonic() < deadline, text
    host.docker("stop", "--time", "2", "engine")
    assert host.inspect("engine")["State"]["ExitCode"] == 137
    assert "Waiting for connections to close." in logs(host, "engine")


def quoted(text: str) -> str:
    """For a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def test_sglang_serves_over_two_hosts_and_its_ranks_end_together(with_model: list[Host], all_images: Images) -> None:
    head, worker = with_model
    for rank, host in enumerate(with_model):
        command = ["python3", "-m", "sglang.launch_server", "--model-path", models.CHECKPOINT, "--tp-size", "2"]
        where = ["--dist-init-addr", "10.78.0.11:25000", "--nnodes", "2", "--node-rank", str(rank)]
        start(host, all_images.standin.reference, *command, *where, "--host", "0.0.0.0", "--port", "8000")
    wait_for(head, "/health", 200)
    assert ask(worker, "/health")[0] == 200
    assert ask(worker, "/v1/models")[0] == 404
    assert ask(head, "/v1/completions", {"prompt": "a", "max_tokens": 2})[0] == 200
    assert "The server is fired up and ready to roll!" in logs(head, "engine")
    worker.docker("kill", "engine")
    assert wait_until_exited(head, "engine") == 0
    assert "Scheduler hit an exception" in logs(head, "engine")
