"""Models on paths of the hosts: looked for first, mounted read-only, never fetched, sized by their own files."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import subprocess
from pathlib import Path

import pytest

from sparkrun_tui.engines.plan import Mount, Phase
from sparkrun_tui.launch.plan.dry_run import lines, offline_plan
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.sizing.host_models import digest_of, remember_model
from sparkrun_tui.launch.sizing.sizing import assumed_hosts, size
from sparkrun_tui.memory.result import Level
from sparkrun_tui.models.store import LocalFacts
from sparkrun_tui.recipe.format.hooks import model_on_hosts
from sparkrun_tui.recipe.names.local_model import LocalModel, local_model
from sparkrun_tui.remote.probe.model_path import PathKind, PathSeen, look_at
from sparkrun_tui.remote.transport import Outcome, Result
from tests.launch.fakes import FakeCluster, rendered
from tests.launch.virtual import virtual_time

FOLDER = "model: {model}\nruntime: vllm\ncontainer: acme/vllm:1\nmax_nodes: 1\ncommand: vllm serve {{model}}\n"
GGUF = "model: {model}\nruntime: llama-cpp\ncontainer: acme/llama:1\nmax_nodes: 1\ndefaults: {{port: 8000}}\n"
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
    "max_position_embeddings": 131072, "torch_dtype": "bfloat16",
}  # fmt: skip


@pytest.mark.parametrize(
    ("model", "volumes", "expected"),
    [
        ("/srv/models/a/", (), LocalModel("/srv/models/a", "/srv/models/a", "/srv/models/a",
                                          ("/srv/models/a:/srv/models/a:ro",))),
        ("~/models/a", (), LocalModel("~/models/a", "/root/models/a", "~/models/a", ("~/models/a:/root/models/a:ro",))),
        ("/models/a", ("/srv/big:/models:ro",), LocalModel("/models/a", "/models/a", "/srv/big/a")),
        ("/models/a", ("weights:/models",), LocalModel("/models/a", "/models/a", "")),
        ("/cache/huggingface/x", (), LocalModel("/cache/huggingface/x", "/cache/huggingface/x",
                                                "")),
        ("/m/a-Q4_K_M-00001-of-00002.gguf", (), LocalModel(
            "/m/a-Q4_K_M-00001-of-00002.gguf", "/m/a-Q4_K_M-00001-of-00002.gguf", "/m/a-Q4_K_M-00001-of-00002.gguf",
            tuple(f"/m/a-Q4_K_M-0000{n}-of-00002.gguf:/m/a-Q4_K_M-0000{n}-of-00002.gguf:ro" for n in (1, 2)), "",
            ("/m/a-Q4_K_M-00001-of-00002.gguf", "/m/a-Q4_K_M-00002-of-00002.gguf"))),
        ("/d/hub/models--o--m/snapshots/c0ffee", (), LocalModel(
            "/d/hub/models--o--m/snapshots/c0ffee", "/d/hub/models--o--m/snapshots/c0ffee",
            "/d/hub/models--o--m/snapshots/c0ffee", ("/d/hub/models--o--m:/d/hub/models--o--m:ro",))),
        ("./a", (), None),
        ("/srv/../etc", (), None),
        ("/srv/a:b", (), None),
        ("org/name", (), None),
    ],
)  # fmt: skip
def test_where_a_model_lies(model: str, volumes: tuple[str, ...], expected: LocalModel | None) -> None:
    assert local_model(model, volumes) == expected


@pytest.mark.parametrize(
    ("text", "model", "mount", "words"),
    [
        (FOLDER, "/srv/models/qwen", Mount("/srv/models/qwen", "/srv/models/qwen", True, False),
         "vllm serve /srv/models/qwen"),
        (FOLDER, "~/models/qwen", Mount("~/models/qwen", "/root/models/qwen", True, False),
         "vllm serve /root/models/qwen"),
        (GGUF, "/srv/m/F-Q4_K_M.gguf", Mount("/srv/m/F-Q4_K_M.gguf", "/srv/m/F-Q4_K_M.gguf", True, False),
         "llama-server -m /srv/m/F-Q4_K_M.gguf --port 8000"),
        (GGUF + "command: llama-server -hf {{model}} --port {{port}}\n", "~/F-Q8_0.gguf",
         Mount("~/F-Q8_0.gguf", "/root/F-Q8_0.gguf", True, False), "llama-server -m /root/F-Q8_0.gguf --port 8000"),
    ],
)  # fmt: skip
def test_it_is_mounted_and_never_fetched(text: str, model: str, mount: Mount, words: str) -> None:
    plan = offline_plan(rendered(text.format(model=model)), None, "abcd2345", {})
    (rank,) = plan.serve.ranks
    assert mount in rank.container.mounts
    assert " ".join(rank.container.script.replace("\\\n", " ").split()) == words
    assert plan.serve.models == ()
    assert [step for step in plan.steps if step.phase is Phase.MODEL] == []
    assert any("test -r" in line for line in lines(plan))


PROJECTOR = "/srv/m/mmproj-F16.gguf"


@pytest.mark.parametrize(
    ("key", "command", "words"),
    [
        (f"mmproj: {PROJECTOR}", "", f"-m /srv/m/F.gguf --mmproj {PROJECTOR} --port 8000"),
        ("mmproj: mmproj-F16.gguf", "", f"-m /srv/m/F.gguf --mmproj {PROJECTOR} --port 8000"),
        (f"mmproj: {PROJECTOR}", "llama-server -m {model} --mmproj {mmproj}", f"-m /srv/m/F.gguf --mmproj {PROJECTOR}"),
        (f"mmproj: {PROJECTOR}", "llama-server -m {model} --no-mmproj", "-m /srv/m/F.gguf --no-mmproj"),
        ("", "", "-m /srv/m/F.gguf --port 8000"),
        ("mmproj: auto", "llama-server -m {model}", "-m /srv/m/F.gguf"),
    ],
)
def test_the_projector_of_a_file(key: str, command: str, words: str) -> None:
    text = GGUF.format(model="/srv/m/F.gguf") + f"{key}\n"
    if command:
        text += f"command: {command}\n"
    plan = offline_plan(rendered(text), None, "abcd2345", {})
    (rank,) = plan.serve.ranks
    said = " ".join(rank.container.script.replace("\\\n", " ").split()).removeprefix("llama-server ")
    assert sorted(said.split(" --")) == sorted(words.split(" --"))
    assert (Mount(PROJECTOR, PROJECTOR, True, False) in rank.container.mounts) is (".gguf" in key)
    assert not any("repository" in note for note in plan.serve.notes)


def test_a_projector_in_the_command_that_is_not_mounted() -> None:
    text = GGUF.format(model="/srv/m/F.gguf") + f"command: llama-server -m {{model}} --mmproj {PROJECTOR}\n"
    codes = [problem.code for problem in offline_plan(rendered(text), None, "abcd2345", {}).problems]
    assert "mmproj-path" in codes
    text += f"mmproj: {PROJECTOR}\n"
    codes = [problem.code for problem in offline_plan(rendered(text), None, "abcd2345", {}).problems]
    assert "mmproj-path" not in codes


def test_an_override_may_name_a_path() -> None:
    recipe = rendered(FOLDER.format(model="org/name")).recipe
    plan = offline_plan(rendered(FOLDER.format(model="org/name"), model="/srv/models/b"), None, "abcd2345", {})
    assert recipe.model == "org/name"
    assert plan.serve.models == ()
    assert Mount("/srv/models/b", "/srv/models/b", True, False) in plan.serve.ranks[0].container.mounts


class Shell:
    """A host whose scripts run here."""

    name = "spark-1"

    def __init__(self, home: Path) -> None:
        self.home = home

    async def run(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0) -> Result:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.home)}
        words = ["sh", "-c", script]
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, env=env, check=False)
        return Result(Outcome.EXITED, done.returncode, done.stdout, done.stderr)


def gguf(path: Path, tokens: int = 200_000) -> None:
    """A GGUF file whose tokenizer is longer than what is read of it."""

    def text(word: str) -> bytes:
        return struct.pack("<Q", len(word)) + word.encode()

    keys = [text("general.architecture") + struct.pack("<I", 8) + text("llama")]
    figures = {"block_count": 32, "embedding_length": 4096, "attention.head_count": 32, "context_length": 8192,
               "attention.head_count_kv": 8, "feed_forward_length": 14336}  # fmt: skip
    for name, value in figures.items():
        keys.append(text(f"llama.{name}") + struct.pack("<II", 4, value))
    words = b"".join(text(f"w{number}") for number in range(tokens))
    keys.append(text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, tokens) + words)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys)) + b"".join(keys))


async def test_what_a_host_says_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my models" / "a"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    for number in (1, 2):
        (folder / f"model-0000{number}-of-00002.safetensors").write_bytes(b"x" * 1000)
    (tmp_path / "link").symlink_to(folder)
    host = Shell(tmp_path)
    seen = await look_at(host, "~/link")  # type: ignore[arg-type]
    assert seen.kind is PathKind.FOLDER
    assert seen.real == str(folder)
    assert sum(seen.sizes.values()) == 2000
    assert json.loads(seen.config) == CONFIG
    assert (await look_at(host, "~/nothing")).kind is PathKind.MISSING  # type: ignore[arg-type]


async def test_what_a_host_says_of_a_split_file(tmp_path: Path) -> None:
    first, second = (f"a-Q8_0-0000{number}-of-00002.gguf" for number in (1, 2))
    gguf(tmp_path / first)
    model = local_model(str(tmp_path / first))
    assert model is not None
    host = Shell(tmp_path)
    seen = await look_at(host, str(tmp_path / first), [str(tmp_path / name) for name in (first, second)])  # type: ignore[arg-type]
    assert seen.lacks == (second,)
    (tmp_path / second).write_bytes(b"y" * 5000)
    seen = await look_at(host, str(tmp_path / first), [str(tmp_path / name) for name in (first, second)])  # type: ignore[arg-type]
    digest = digest_of(model, seen, "spark-1")
    assert digest is not None and digest.weights is not None
    assert digest.weights.total == (tmp_path / first).stat().st_size + 5000
    assert digest.gguf["vocab"] == 200_000
    assert digest.quant == "Q8_0"


def test_its_facts_are_used_once_a_host_has_been_asked(tmp_path: Path) -> None:
    what = rendered(FOLDER.format(model="/srv/models/a/"))
    store = LocalFacts(None, tmp_path)
    before = size(what, assumed_hosts(1), store)
    assert before.starts.level is Level.UNKNOWN
    assert "lies on the hosts" in before.starts.detail
    model = model_on_hosts(what.recipe)
    assert model is not None
    seen = PathSeen(
        PathKind.FOLDER,
        sizes={"model.safetensors": 16_000_000_000, "consolidated.safetensors": 9},
        config=json.dumps(CONFIG).encode(),
    )
    assert remember_model(model, seen, "spark-1", tmp_path)
    after = size(what, assumed_hosts(1), store)
    assert after.weights_bytes == pytest.approx(16e9, rel=0.01)
    assert after.facts_source == "config.json on spark-1"


def answer(kind: str, *more: str) -> str:
    return "\n".join([f"kind\t{kind}", *more, "end", ""])


CONFIGURED = f"config\t{base64.b64encode(json.dumps(CONFIG).encode()).decode()}"


@virtual_time
async def test_a_launch_looks_for_the_model_before_anything_moves(cluster: FakeCluster) -> None:
    cluster.paths = {"spark-1": answer("missing")}
    cluster[1].images.clear()
    launch = cluster.begin(FOLDER.format(model="/srv/models/a"))
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert "/srv/models/a" in state.detail and "not there" in state.detail
    assert state.diagnosis is not None
    assert "spark-1" in f"{state.diagnosis.host} {state.diagnosis.repairs[0].title}"
    assert cluster[1].actions == []


@virtual_time
async def test_hosts_with_other_files_are_a_warning(cluster: FakeCluster) -> None:
    text = FOLDER.format(model="/srv/models/a").replace("max_nodes: 1", "min_nodes: 2")
    plan = cluster.launcher().plan(rendered(text), cluster.cluster)
    for sizes, warned in ((("900", "900"), False), (("900", "800"), True)):
        for host, size_ in zip(("spark-1", "spark-2"), sizes, strict=True):
            cluster.paths[host] = answer("folder", "real\t/srv/models/a", CONFIGURED, f"file\t{size_}\tm.safetensors")
        seen = await cluster.launcher().inspect(plan)
        assert ("hosts-differ" in [problem.code for problem in seen.problems]) is warned
        assert seen.errors == ()


@virtual_time
async def test_what_a_host_says_is_kept_or_the_reason_why_not(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster.paths = {"spark-1": answer("folder", "real\t/srv/models/a", CONFIGURED)}
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(FOLDER.format(model="/srv/models/a")), cluster.cluster)
    monkeypatch.setattr("sparkrun_tui.launch.sizing.host_models.digest_folder", lambda: tmp_path / "digests")
    assert await launcher.learn(plan) == ""
    found = LocalFacts(None, tmp_path / "digests").find("/srv/models/a")
    assert found is not None and found.heads == 32
    (tmp_path / "file").touch()
    monkeypatch.setattr("sparkrun_tui.launch.sizing.host_models.digest_folder", lambda: tmp_path / "file")
    assert "cannot be kept" in await launcher.learn(plan)
    other = launcher.plan(rendered(FOLDER.format(model="org/tiny")), cluster.cluster)
    assert await launcher.learn(other) == ""


@virtual_time
async def test_a_launch_with_the_model_in_place(cluster: FakeCluster) -> None:
    cluster.paths = {"spark-1": answer("folder", "real\t/srv/models/a", CONFIGURED)}
    launch = cluster.begin(FOLDER.format(model="/srv/models/a"))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert not any("ship" in action for action in cluster[1].actions)
    (container,) = cluster[1].containers.values()
    assert "/srv/models/a:/srv/models/a:ro" in container.body["HostConfig"]["Binds"]
    await launch.stop()


@pytest.mark.parametrize(
    ("lines_", "words"),
    [
        (answer("denied"), "may not read it"),
        (answer("other"), "neither a folder nor a file"),
        (answer("folder"), "neither a config.json nor safetensors"),
        (answer("folder", "real\t/etc", CONFIGURED), "a link to /etc"),
        (answer("file", "lacks\ta-00002-of-00002.gguf"), "the part a-00002-of-00002.gguf is not there"),
    ],
)
@virtual_time
async def test_a_model_that_cannot_be_used_is_a_problem_of_the_plan(
    cluster: FakeCluster, lines_: str, words: str
) -> None:
    cluster.paths = {"spark-1": lines_}
    launcher = cluster.launcher()
    plan = await launcher.inspect(launcher.plan(rendered(FOLDER.format(model="/srv/models/a")), cluster.cluster))
    (found,) = [problem for problem in plan.errors if problem.code == "model-path"]
    assert words in found.message and "/srv/models/a" in found.message and found.message.startswith("spark-1")
