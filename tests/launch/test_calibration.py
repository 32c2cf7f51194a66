"""What an engine printed goes into the next estimate, where image and settings agree, and says so."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.units import GIB
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.sizing.calibration import ago, remember_image
from sparkrun_tui.launch.sizing.image_label import version_of
from sparkrun_tui.launch.sizing.measured_store import MAX_RECIPES, MAX_RECORDS, Record, image_facts, records, remember
from sparkrun_tui.launch.sizing.sizing import engine_settings, size
from sparkrun_tui.memory.result import Estimate, HostMemory
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.remote.docker.types import ImageInfo
from tests.launch.fakes import EPOCH, IMAGE, FakeCluster, FakeContainer, FakeHost, rendered, serve_well
from tests.launch.virtual import virtual_time

RECIPE = f"""\
name: measured
model: org/tiny
runtime: vllm
container: {IMAGE}
metadata: {{model_params: 30B, model_dtype: nvfp4, num_layers: 48, num_kv_heads: 4, head_dim: 128}}
defaults: {{port: 8000, gpu_memory_utilization: 0.8, max_model_len: 32768, max_num_batched_tokens: 8192, tp: 1}}
command: >-
  vllm serve {{model}} --port {{port}} --served-model-name tiny --gpu-memory-utilization {{gpu_memory_utilization}}
  --max-model-len {{max_model_len}} --max-num-batched-tokens {{max_num_batched_tokens}} -tp {{tp}}
"""
LOG = (
    "INFO 01-01 00:00:01 [x.py:1] Model loading took 18.25 GiB memory and 31.5 seconds",
    "INFO 01-01 00:00:02 [x.py:1] Available KV cache memory: 70.5 GiB",
    "INFO 01-01 00:00:02 [x.py:1] GPU KV cache size: 769,024 tokens",
    "INFO 01-01 00:00:02 [x.py:1] Maximum concurrency for 32,768 tokens per request: 23.47x",
    "INFO 01-01 00:00:03 [x.py:1] Graph capturing finished in 9 secs, took 0.50 GiB",
)
SPARK = HostMemory("spark-1", 120 * GIB, 110 * GIB, assumed=False, source="probed")


async def speak(host: FakeHost, container: FakeContainer) -> int:
    for line in LOG:
        host.say(container, line)
    return await serve_well(host, container)


async def launched(cluster: FakeCluster, what: Rendered) -> None:
    cluster[1].program = speak
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(what, cluster.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.diagnosis
    await launch.stop()


def source(found: Estimate, kind: str = "weights") -> str:
    return next(part.source for part in found.hosts[0].parts if part.kind == kind)


@virtual_time
async def test_the_next_estimate_is_what_was_measured(cluster: FakeCluster) -> None:
    what = rendered(RECIPE)
    before = size(what, [SPARK])
    assert "measured" not in source(before)
    await launched(cluster, what)
    after = size(what, [SPARK], now=EPOCH + 2 * 86_400 + 3600)
    assert source(after) == "measured on spark-1, 2 days ago"
    weights = next(part for part in after.hosts[0].parts if part.kind == "weights")
    assert weights.bytes == weights.low == weights.high == int(18.25 * GIB)
    pool = next(part for part in after.hosts[0].parts if part.kind == "kv")
    assert abs(pool.bytes - 70.5 * GIB) < 0.01 * GIB
    (note,) = [note for note in after.notes if "measured" in note]
    assert note == (
        "measured on spark-1, 2 days ago: same image, tensor parallel 1, pipeline parallel 1, data parallel 1, "
        "utilisation 0.8, 8192 batched tokens"
    )
    longer = size(rendered(RECIPE, max_model_len="65536"), [SPARK], now=EPOCH + 60)
    assert source(longer).startswith("measured on spark-1"), "another length leaves weights and room as they were"


@pytest.mark.parametrize(
    "overrides",
    [{"gpu_memory_utilization": "0.7"}, {"max_num_batched_tokens": "2048"}, {"tp": "2"}, {"port": "9000"}],
)
@virtual_time
async def test_it_holds_only_where_the_deciding_settings_agree(cluster: FakeCluster, overrides: dict[str, str]) -> None:
    await launched(cluster, rendered(RECIPE))
    found = size(rendered(RECIPE, **overrides), [SPARK, replace(SPARK, name="spark-2")], now=EPOCH + 60)
    assert any("measured" in note for note in found.notes) == (list(overrides) == ["port"])


@virtual_time
async def test_another_image_another_file_and_a_smaller_host_are_other_cases(cluster: FakeCluster) -> None:
    await launched(cluster, rendered(RECIPE))
    assert "measured" not in source(size(rendered(RECIPE.replace(IMAGE, "registry.test/engine:2")), [SPARK]))
    assert "measured" not in source(size(rendered(RECIPE + "# changed\n"), [SPARK]))
    assert "measured" not in source(size(rendered(RECIPE), [replace(SPARK, total=90 * GIB)]))
    twin = size(rendered(RECIPE), [replace(SPARK, name="spark-7")], now=EPOCH + 600)
    assert source(twin).startswith("measured on spark-1, ")


@virtual_time
async def test_a_tag_that_has_moved_is_another_image(cluster: FakeCluster) -> None:
    def image(digest: str) -> ImageInfo:
        return ImageInfo("i", (IMAGE,), (f"x@sha256:{digest}",), (), "linux", "arm64", 1)

    await launched(cluster, rendered(RECIPE))
    recipe = rendered(RECIPE).recipe
    remember(recipe.digest, [replace(record, image_digest="sha256:aa") for record in records(recipe.digest)])
    remember_image("vllm", IMAGE, image("aa"))
    assert "measured" in source(size(rendered(RECIPE), [SPARK]))
    remember_image("vllm", IMAGE, image("bb"))
    assert "measured" not in source(size(rendered(RECIPE), [SPARK]))


@virtual_time
async def test_the_demo_and_a_launch_that_failed_leave_nothing(cluster: FakeCluster) -> None:
    async def crash(host: FakeHost, container: FakeContainer) -> int:
        for line in LOG:
            host.say(container, line)
        await asyncio.sleep(3)
        return 1

    what = rendered(RECIPE)
    cluster[1].program = crash
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(what, cluster.cluster))
    await launch.wait_ready()
    assert records(what.recipe.digest) == ()
    cluster.cluster = replace(cluster.cluster, source="demo")
    await launched(cluster, what)
    assert records(what.recipe.digest) == ()


@virtual_time
async def test_a_state_directory_that_cannot_be_written_does_not_fail_the_launch(cluster: FakeCluster) -> None:
    folder = paths.state_dir() / "measured"
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    await launched(cluster, rendered(RECIPE))
    assert records(rendered(RECIPE).recipe.digest) == ()


def record(number: int, host: str = "spark-1") -> Record:
    return Record(host, float(number), IMAGE, 120 * GIB, 0.8, {"seqs": number}, {"weights_bytes": 1.0})


def test_the_store_is_bounded_private_and_newest_first() -> None:
    digest = "ab" * 32
    for number in range(MAX_RECORDS + 5):
        remember(digest, [record(number)])
    kept = records(digest)
    assert [entry.time for entry in kept] == [float(n) for n in range(MAX_RECORDS + 4, 4, -1)]
    remember(digest, [replace(record(MAX_RECORDS + 4), time=99.0)])
    assert len(records(digest)) == MAX_RECORDS and records(digest)[0].time == 99.0
    folder = paths.state_dir() / "measured"
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
    for number in range(MAX_RECIPES + 3):
        (folder / f"{number:032x}.json").write_text("[]")
    remember("cd" * 32, [record(1)])
    assert len(list(folder.glob("*.json"))) <= MAX_RECIPES
    assert records("cd" * 32) != ()


@pytest.mark.parametrize("text", ["", "{", "[1, null, {}]", '[{"host": 3}]', '{"a": 1}', "[" * 5000])
def test_a_damaged_store_holds_nothing(text: str) -> None:
    digest = "ef" * 32
    remember(digest, [record(1)])
    (file,) = (paths.state_dir() / "measured").glob("*.json")
    file.write_text(text)
    assert records(digest) == ()
    (file.parent / "images.json").write_text(text)
    assert image_facts(IMAGE).version == ""
    remember(digest, [record(2)])
    assert [entry.time for entry in records(digest)] == [2.0]


def test_names_that_are_no_digest_reach_no_file(private_home: Path) -> None:
    remember("../../../x", [record(1)])
    assert not (paths.state_dir() / "measured").exists()


def info(labels: dict[str, str], env: tuple[str, ...] = ()) -> ImageInfo:
    return ImageInfo("i", (), (), (), "linux", "arm64", 1, env, labels)


@pytest.mark.parametrize(
    ("engine", "labels", "env", "version"),
    [
        ("vllm", {"ai.example.vllm.version": "v0.32.0"}, (), "0.32.0"),
        ("eugr-vllm", {"vllm_version": "0.31.1rc2"}, (), "0.31.1"),
        ("vllm", {}, ("PATH=/bin", "VLLM_VERSION=0.30.0+cu130"), "0.30.0"),
        (
            "vllm",
            {"org.opencontainers.image.version": "22.04", "org.opencontainers.image.ref.name": "ubuntu"},
            ("NVIDIA_PYTORCH_VERSION=25.09",),
            "",
        ),
        (
            "vllm",
            {"org.opencontainers.image.version": "v0.29.0", "org.opencontainers.image.source": "https://h/x/vllm"},
            (),
            "0.29.0",
        ),
        ("sglang", {"com.example.sglang-version": "0.5.9"}, (), "0.5.9"),
        ("sglang", {"ai.example.vllm.version": "0.32.0"}, (), ""),
        ("llama-cpp", {"llama.cpp.version": "b11669-cuda"}, (), "b11669"),
        ("llama-cpp", {"llama_cpp_version": "1.0"}, (), ""),
    ],
)
def test_versions_that_images_state(engine: str, labels: dict[str, str], env: tuple[str, ...], version: str) -> None:
    assert version_of(engine, info(labels, env)) == version


def test_the_tag_rules_and_the_label_fills_in() -> None:
    moving = rendered(RECIPE.replace(IMAGE, "registry.test/vllm:nightly"))
    assert engine_settings(moving).version == ""
    remember_image("vllm", "registry.test/vllm:nightly", info({"vllm.version": "0.31.0"}))
    assert engine_settings(moving).version == "0.31.0"
    tagged = rendered(RECIPE.replace(IMAGE, "registry.test/vllm:v0.30.0"))
    remember_image("vllm", "registry.test/vllm:v0.30.0", info({"vllm.version": "0.31.0"}))
    assert engine_settings(tagged).version == "0.30.0"


@virtual_time
async def test_looking_at_a_plan_learns_what_the_image_says(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.launch import fakes

    async def image(self: fakes.FakeDocker, reference: str) -> ImageInfo:
        return replace(info({"vllm.version": "0.31.0"}), digests=("x@sha256:aa",))

    monkeypatch.setattr(fakes.FakeDocker, "image", image)
    what = rendered(RECIPE.replace(IMAGE, "registry.test/vllm:nightly"))
    launcher = cluster.launcher()
    await launcher.inspect(launcher.plan(what, cluster.cluster))
    assert image_facts("registry.test/vllm:nightly").version == "0.31.0"
    assert json.loads((paths.state_dir() / "measured" / "images.json").read_text())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "just now"), (59, "just now"), (60, "1 minute ago"), (7200, "2 hours ago"), (200_000, "2 days ago")],
)
def test_how_long_ago(seconds: float, text: str) -> None:
    assert ago(seconds) == text
