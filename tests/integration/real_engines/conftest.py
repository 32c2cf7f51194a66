"""The real engines on the cluster of the integration tests: its hosts have vLLM's folder as /mnt.

`./dev engines` installs vLLM before it starts these tests.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cluster import HostSpec, images, models
from cluster.layers import LayerCache, cache_directory
from cluster.registry import Image
from real_engines import vllm_cpu
from real_engines.images import vllm_image

# Both are read before tests change the environment.
VLLM = vllm_cpu.place()
LAYERS = cache_directory() / "layers"

RECIPES = Path(__file__).parent / "recipes"
VISION = "tiny-lab/tiny-vision-GGUF"
"""For llama.cpp: a model and its projector of images."""


@pytest.fixture(scope="session")
def installed() -> vllm_cpu.VllmCpu:
    """vLLM as `./dev engines` has installed it."""
    if not VLLM.complete:
        raise RuntimeError(f"there is no vLLM in {VLLM.folder}: start these tests with ./dev engines")
    return VLLM


@pytest.fixture(scope="session")
def pushed_images(all_images: images.Images, installed: vllm_cpu.VllmCpu) -> tuple[Image, ...]:
    """The images of the real engines."""
    return (all_images.llama, vllm_image(LayerCache(LAYERS), installed))


@pytest.fixture(scope="session")
def repositories(installed: vllm_cpu.VllmCpu, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of the real engines."""
    made = tmp_path_factory.mktemp("hub")
    shutil.copytree(installed.models, made, dirs_exist_ok=True)
    vision = made / VISION
    vision.mkdir(parents=True)
    models.write_gguf(vision / "tiny-vision-Q8_0.gguf", quantised=True)
    models.write_projector(vision / "mmproj-tiny-vision-F16.gguf")
    return made


@pytest.fixture(scope="session")
def host_spec(installed: vllm_cpu.VllmCpu) -> HostSpec:
    """A host that has vLLM's folder."""
    return HostSpec(folder=str(installed.folder))


@pytest.fixture
def recipes() -> Path:
    """The recipes of these tests."""
    return RECIPES
