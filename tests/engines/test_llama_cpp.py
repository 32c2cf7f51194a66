"""llama.cpp: `-hf` becomes `-m` wherever it stands, and the right files of a repository are chosen."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.llama_cpp.gguf_files import OWN_PROJECTOR, USUAL_QUANT, choose, quants_in
from sparkrun_tui.engines.plan import ModelNeed, PortWait, ReadyCheck
from sparkrun_tui.recipe.model import Severity
from sparkrun_tui.recipe.names.detect import split_gguf

from .samples import plan, rendered, scripts, with_command, words_of

MODEL = "acme/Falcon-GGUF:Q4_K_M"
PATH = "/root/.cache/huggingface/hub/models--acme--Falcon-GGUF/snapshots/1f/Falcon-Q4_K_M.gguf"


@pytest.mark.parametrize(
    "command",
    [
        "llama-server -hf {model} --port 80",
        "llama-server --port 80 -hfr {model}",
        "llama-server --port 80 \\\n  --hf-repo {model} \\\n",
        "llama-server --hf-repo={model} --port 80 | tee log",
        'llama-server -hf "{model}" --port 80 # serve',
        "llama-server -hf acme/falcon-gguf --hf-file Falcon-Q4_K_M.gguf --port 80",
        "M={model}\nllama-server --hf_repo $M --port 80",
        "llama-server -m {model} --port 80",
        "bash -c 'llama-server -hf {model} --port 80'",
    ],
)
def test_hf_becomes_m(command: str, tmp_path: Path) -> None:
    serve = plan(with_command(command, "llama-cpp", MODEL), gguf_path=PATH)
    words = words_of(scripts(serve)[0], tmp_path, "llama-server")
    assert words[words.index("-m") + 1] == PATH
    assert sorted(words) == sorted(["-m", PATH, "--port", "80"])
    assert serve.ready == ReadyCheck("spark-1", 80, MODEL)


def test_everything_else_stays_as_written(tmp_path: Path) -> None:
    command = "llama-server -hf other/Model:Q8_0 -md x.gguf --chat-template '{{x}}' -hfd {model}"
    serve = plan(with_command(command, "llama-cpp", MODEL), gguf_path=PATH)
    words = words_of(scripts(serve)[0], tmp_path, "llama-server")
    assert words == ["-hf", "other/Model:Q8_0", "-md", "x.gguf", "--chat-template", "{{x}}", "-hfd", MODEL]


def test_without_a_known_path_the_container_looks_it_up(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots" / "1f"
    folder.mkdir(parents=True)
    for name in ("Falcon-Q4_K_M-00001-of-00002.gguf", "Falcon-Q4_K_M-00002-of-00002.gguf", "mmproj-Q4_K_M.gguf"):
        (folder / name).touch()
    (script,) = scripts(plan(with_command("llama-server -hf {model}", "llama-cpp", MODEL)))
    hub = "/root/.cache/huggingface/hub/models--acme--Falcon-GGUF"
    words = words_of(script.replace(hub, str(tmp_path)), tmp_path, "llama-server")
    model = ["-m", str(folder / "Falcon-Q4_K_M-00001-of-00002.gguf")]
    assert words == [*model, "--mmproj", str(folder / "mmproj-Q4_K_M.gguf")]
    (folder / "mmproj-F16.gguf").touch()
    words = words_of(script.replace(hub, str(tmp_path)), tmp_path, "llama-server")
    assert words == [*model, "--mmproj", str(folder / "mmproj-F16.gguf")]
    for name in ("mmproj-F16.gguf", "mmproj-Q4_K_M.gguf"):
        (folder / name).unlink()
    assert words_of(script.replace(hub, str(tmp_path)), tmp_path, "llama-server") == model
    assert subprocess.run(["bash", "-n", "-c", script], check=False).returncode == 0


def test_environment_turns_the_sizes_on_and_names_the_model() -> None:
    (rank,) = plan(with_command("llama-server -hf {model}", "llama-cpp", MODEL)).ranks
    assert rank.container.env["LLAMA_ARG_LOG_VERBOSITY"] == "4"
    assert rank.container.env["LLAMA_ARG_ALIAS"] == MODEL
    named = plan(with_command("llama-server -hf {model} --alias falcon", "llama-cpp", MODEL))
    assert named.ready.served_name == "falcon"


def test_a_projector_that_the_command_names(tmp_path: Path) -> None:
    command = "llama-server -hf {model} --mmproj mmproj-F16.gguf"
    serve = plan(with_command(command, "llama-cpp", MODEL), gguf_path=PATH)
    assert serve.models == (ModelNeed("acme/Falcon-GGUF", "", ("mmproj-F16.gguf",), "Q4_K_M"),)
    words = words_of(scripts(serve)[0], tmp_path, "llama-server")
    assert words[-1] == PATH.replace("Falcon-Q4_K_M.gguf", "mmproj-F16.gguf")


def test_hosts_that_lend_memory(tmp_path: Path) -> None:
    what = with_command("llama-server -hf {model} --port 80 | cat", "llama-cpp", MODEL, top="min_nodes: 3")
    serve = plan(what, 3, gguf_path=PATH)
    assert [stage.start for stage in serve.stages] == [(1, 2), (), (0,)]
    assert serve.stages[0].wait == PortWait("10.0.0.2", 50052)
    assert serve.stages[1].wait == PortWait("10.0.0.3", 50052)
    head, *lenders = scripts(serve)
    words = words_of(head, tmp_path, "llama-server")
    assert words == ["-m", PATH, "--port", "80", "--rpc", "10.0.0.2:50052,10.0.0.3:50052"]
    assert lenders == ["rpc-server --host 10.0.0.2 --port 50052\n", "rpc-server --host 10.0.0.3 --port 50052\n"]
    assert "no password" in serve.notes[0]


FILES = [
    "README.md",
    "Falcon-Q4_K_M.gguf",
    "Falcon-UD-Q4_K_M.gguf",
    "Falcon-Q4_K_S.gguf",
    "Falcon-UD-Q5_K_XL.gguf",
    "Falcon-BF16-00001-of-00002.gguf",
    "Falcon-BF16-00002-of-00002.gguf",
    "IQ4_XS/Falcon-IQ4_XS.gguf",
    "Q6_K/Falcon-00001-of-00002.gguf",
    "Q6_K/Falcon-00002-of-00002.gguf",
    "mmproj-F16.gguf",
    "mmproj-BF16.gguf",
]


@pytest.mark.parametrize(
    ("quant", "files"),
    [
        ("Q4_K_M", ["Falcon-Q4_K_M.gguf"]),
        ("q4_k_m", ["Falcon-Q4_K_M.gguf"]),
        ("UD-Q4_K_M", ["Falcon-UD-Q4_K_M.gguf"]),
        ("Q5_K_XL", ["Falcon-UD-Q5_K_XL.gguf"]),
        ("BF16", ["Falcon-BF16-00001-of-00002.gguf", "Falcon-BF16-00002-of-00002.gguf"]),
        ("IQ4_XS", ["IQ4_XS/Falcon-IQ4_XS.gguf"]),
        ("Q6_K", ["Q6_K/Falcon-00001-of-00002.gguf", "Q6_K/Falcon-00002-of-00002.gguf"]),
        ("Falcon-Q4_K_S.gguf", ["Falcon-Q4_K_S.gguf"]),
        ("", ["Falcon-Q4_K_M.gguf"]),
    ],
)
def test_files_of_a_quantisation(quant: str, files: list[str]) -> None:
    choice = choose(FILES, quant)
    assert list(choice.files) == files
    assert choice.first == files[0]


def test_a_named_projector_comes_along() -> None:
    choice = choose(FILES, "Q4_K_S", "mmproj-F16.gguf")
    assert choice.files == ("Falcon-Q4_K_S.gguf", "mmproj-F16.gguf")
    with pytest.raises(LaunchError, match="no file `mmproj-F32"):
        choose(FILES, "Q4_K_S", "mmproj-F32.gguf")


def test_what_is_not_there_is_answered_with_what_is() -> None:
    for quant in ("Q4", "F16", "Q4_K", "K_M"):
        with pytest.raises(LaunchError) as caught:
            choose(FILES, quant)
        assert "Q4_K_M" in caught.value.remedy
    with pytest.raises(LaunchError, match="1 of 3 parts"):
        choose(["x-Q8_0-00001-of-00003.gguf"], "Q8_0")
    with pytest.raises(LaunchError, match="no GGUF"):
        choose(["README.md"], "Q8_0")


def test_drafts_and_matrices_are_not_the_model() -> None:
    assert choose(["a-Q8_0.gguf", "mtp-a-Q8_0.gguf", "imatrix_Q8_0.gguf"], "Q8_0").files == ("a-Q8_0.gguf",)


def test_names_are_taken_apart() -> None:
    assert split_gguf(MODEL) == ("acme/Falcon-GGUF", "Q4_K_M")
    assert split_gguf("acme/Falcon") == ("acme/Falcon", "")
    assert quants_in(FILES) == ("BF16", "IQ4_XS", "Q4_K_M", "Q4_K_S", "Q6_K", "UD-Q4_K_M", "UD-Q5_K_XL")


# The layout of a repository of 2026 that has its drafter beside the model (unsloth/GLM-5.3-Flash-GGUF).
WITH_DRAFTER = (
    "DFlash/Big-DFlash2-Q4_K_M.gguf",
    "DFlash/Big-DFlash2-Q8_0.gguf",
    "mmproj-F16.gguf",
    "UD-Q4_K_M/Big-UD-Q4_K_M-00001-of-00002.gguf",
    "UD-Q4_K_M/Big-UD-Q4_K_M-00002-of-00002.gguf",
    "UD-IQ1_M/Big-UD-IQ1_M-00001-of-00001.gguf",
)


@pytest.mark.parametrize(
    ("files", "quant", "first"),
    [
        (WITH_DRAFTER, "Q4_K_M", WITH_DRAFTER[3]),
        (WITH_DRAFTER, "", WITH_DRAFTER[3]),
        (WITH_DRAFTER, "Big-DFlash2-Q8_0.gguf", WITH_DRAFTER[1]),
        (("eagle3-Q8_0.gguf", "Model-Large-Name-Q8_0.gguf"), "Q8_0", "Model-Large-Name-Q8_0.gguf"),
        (("Big-DFlash2-Q8_0.gguf", "Big-DFlash2-Q4_0.gguf"), "Q8_0", "Big-DFlash2-Q8_0.gguf"),
        (("Big-MTP-Q8_0.gguf", "Big-Q4_0.gguf"), "Q8_0", "Big-MTP-Q8_0.gguf"),
    ],
)
def test_a_drafter_is_not_taken_for_its_model(files: tuple[str, ...], quant: str, first: str) -> None:
    assert choose(files, quant).first == first


def test_a_quantisation_that_only_the_drafter_has() -> None:
    with pytest.raises(LaunchError, match="no GGUF of the quantisation `Q8_0`") as caught:
        choose(WITH_DRAFTER, "Q8_0")
    assert "Q8_0" not in caught.value.remedy


VISION = (
    "mmproj-BF16.gguf",
    "mmproj-F16.gguf",
    "UD-Q6_K_XL/Big-UD-Q6_K_XL-00001-of-00002.gguf",
    "UD-Q6_K_XL/Big-UD-Q6_K_XL-00002-of-00002.gguf",
)


def test_the_repositorys_own_projector_is_fetched_with_the_model() -> None:
    own = ModelNeed("acme/Falcon-GGUF", "", (OWN_PROJECTOR,), "Q4_K_M")
    assert plan(with_command("llama-server -hf {model}", "llama-cpp", MODEL)).models == (own,)
    alone = (replace(own, patterns=()),)
    for flags in ("--no-mmproj", "--mmproj /m/p.gguf", "--mmproj-url x", "--no-mmproj-auto"):
        assert plan(with_command(f"llama-server -hf {{model}} {flags}", "llama-cpp", MODEL)).models == alone
    assert plan(with_command("llama-server -m /m/f.gguf", "llama-cpp", MODEL)).models == alone


@pytest.mark.parametrize(
    ("files", "projector"),
    [
        (VISION, "mmproj-F16.gguf"),
        ((*VISION, "UD-Q6_K_XL/mmproj-BF16.gguf"), "UD-Q6_K_XL/mmproj-BF16.gguf"),
        (VISION[2:], ""),
    ],
)
def test_which_projector_goes_with_a_model(files: tuple[str, ...], projector: str) -> None:
    choice = choose(files, "UD-Q6_K_XL", OWN_PROJECTOR)
    assert (choice.first, choice.mmproj) == (VISION[2], projector)
    assert choice.files == tuple(filter(None, (*VISION[2:], projector)))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        # With -hf llama-server takes the projector by itself, with -m it does not (spark-arena/sparkrun#204).
        ("-hf {model} --jinja", ["-m", "MODEL", "--mmproj", "PROJECTOR", "--jinja"]),
        # The projector of a model in a folder mostly lies above it (gpustack/gpustack#5108).
        ("-hf {model} --mmproj mmproj-F16.gguf", ["-m", "MODEL", "--mmproj", "PROJECTOR"]),
        ("-hf {model} --no-mmproj", ["-m", "MODEL", "--no-mmproj"]),
        ("-hf {model} --mmproj /m/p.gguf", ["-m", "MODEL", "--mmproj", "/m/p.gguf"]),
        ("-m /m/f.gguf", ["-m", "/m/f.gguf"]),
    ],
)
def test_where_the_projector_lies(flags: str, words: list[str], tmp_path: Path) -> None:
    snapshot = "/root/.cache/huggingface/hub/models--acme--Falcon-GGUF/snapshots/1f"
    paths = {"MODEL": f"{snapshot}/{VISION[2]}", "PROJECTOR": f"{snapshot}/mmproj-F16.gguf"}
    what = with_command(f"llama-server {flags}", "llama-cpp", MODEL)
    serve = plan(what, gguf_path=paths["MODEL"], gguf_projector=paths["PROJECTOR"])
    assert words_of(scripts(serve)[0], tmp_path, "llama-server") == [paths.get(word, word) for word in words]


SNAPSHOT = "/root/.cache/huggingface/hub/models--acme--Falcon-GGUF/snapshots/1f"
FILE, PROJECTOR = f"{SNAPSHOT}/Q4_K_M/Falcon-Q4_K_M.gguf", f"{SNAPSHOT}/mmproj-F16.gguf"


def serve_words(flags: str, top: str, folder: Path, projector: str = PROJECTOR) -> list[str]:
    """The words of llama-server with these flags and a line of the recipe, once the files are known."""
    what = with_command(f"llama-server {flags}", "llama-cpp", MODEL, top)
    return words_of(scripts(plan(what, gguf_path=FILE, gguf_projector=projector))[0], folder, "llama-server")


@pytest.mark.parametrize(
    ("top", "flags", "pattern", "words"),
    [
        ("mmproj: F16", "-hf {model}", "F16", ["-m", FILE, "--mmproj", PROJECTOR]),
        ("mmproj: auto", "-hf {model}", OWN_PROJECTOR, ["-m", FILE, "--mmproj", PROJECTOR]),
        ("mmproj: true", "-m {model}", OWN_PROJECTOR, ["-m", FILE, "--mmproj", PROJECTOR]),
        ("mmproj: mmproj-BF16.gguf", "-hf {model}", "mmproj-BF16.gguf", ["-m", FILE, "--mmproj", PROJECTOR]),
        ("mmproj: F16", "-hf {model} --mmproj {mmproj}", "F16", ["-m", FILE, "--mmproj", PROJECTOR]),
        ("", "-hf {model} --mmproj {mmproj}", OWN_PROJECTOR, ["-m", FILE, "--mmproj", PROJECTOR]),
        ("runtime_config: {mmproj: F32}", "-hf {model}", "F32", ["-m", FILE, "--mmproj", PROJECTOR]),
        ("mmproj: /m/p.gguf", "-hf {model}", "", ["-m", FILE, "--mmproj", "/m/p.gguf"]),
        ("mmproj: none", "-hf {model}", "", ["-m", FILE]),
        ("mmproj: false", "-hf {model} --mmproj {mmproj} --jinja", "", ["-m", FILE, "--jinja"]),
        ("mmproj: F16", "-hf {model} --no-mmproj", "", ["-m", FILE, "--no-mmproj"]),
        ("env: {LLAMA_ARG_MMPROJ: /m/p.gguf}", "-hf {model}", "", ["-m", FILE]),
        ("env: {LLAMA_ARG_MMPROJ_AUTO: 'off'}", "-hf {model}", "", ["-m", FILE]),
        ("defaults: {mmproj: mmproj-F16.gguf}", "-hf {model} -mm {mmproj}", "mmproj-F16.gguf",
         ["-m", FILE, "-mm", PROJECTOR]),
    ],
)  # fmt: skip
def test_the_key_mmproj(top: str, flags: str, pattern: str, words: list[str], tmp_path: Path) -> None:
    what = with_command(f"llama-server {flags}", "llama-cpp", MODEL, top)
    assert what.errors == ()
    (need,) = plan(what).models
    assert need.patterns == ((pattern,) if pattern else ())
    assert serve_words(flags, top, tmp_path) == words


def test_a_repository_without_a_projector(tmp_path: Path) -> None:
    assert serve_words("-hf {model} --mmproj {mmproj} --jinja", "", tmp_path, "") == ["-m", FILE, "--jinja"]
    assert serve_words("-hf {model}", "mmproj: auto", tmp_path, "") == ["-m", FILE]


def test_a_projector_before_the_files_are_known(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots" / "1f"
    folder.mkdir(parents=True)
    for name in ("Falcon-Q4_K_M.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf", "mmproj-F32.gguf"):
        (folder / name).touch()
    for word, name in (
        ("F32", "mmproj-F32.gguf"),
        ("f16", "mmproj-F16.gguf"),
        ("BF16", "mmproj-BF16.gguf"),
        ("auto", "mmproj-F16.gguf"),
        ("mmproj-F32.gguf", "mmproj-F32.gguf"),
    ):
        for flags in ("-hf {model} --mmproj {mmproj}", "-hf {model}"):
            what = with_command(f"bash -c 'llama-server {flags}'", "llama-cpp", MODEL, f"mmproj: {word}")
            (script,) = scripts(plan(what))
            script = script.replace("/root/.cache/huggingface/hub/models--acme--Falcon-GGUF", str(tmp_path))
            words = words_of(script, tmp_path, "llama-server")
            assert words == ["-m", str(folder / "Falcon-Q4_K_M.gguf"), "--mmproj", str(folder / name)]
    assert any("fetched and passed as --mmproj" in note for note in plan(with_command("llama-server -hf {model}",
               "llama-cpp", MODEL)).notes)  # fmt: skip


def test_a_built_command_with_the_key() -> None:
    base = f"model: {MODEL}\nruntime: llama-cpp\ncontainer: x:1\n"
    for line, words in (("mmproj: F16", f"--mmproj {PROJECTOR}"), ("mmproj: false", ""), ("", f"--mmproj {PROJECTOR}")):
        (script,) = scripts(plan(rendered(base + line), gguf_path=FILE, gguf_projector=PROJECTOR))
        assert " ".join(script.replace("\\\n", " ").split()) == f"llama-server -m {FILE} {words}".strip()


def test_another_model_that_the_user_names_has_its_own_projector() -> None:
    text = f"model: {MODEL}\nruntime: llama-cpp\ncontainer: x:1\nmmproj: mmproj-falcon-F16.gguf\n"
    (need,) = plan(rendered(text, model="acme/Owl-GGUF:Q8_0")).models
    assert need == ModelNeed("acme/Owl-GGUF", "", (OWN_PROJECTOR,), "Q8_0")
    (need,) = plan(rendered(text, mmproj="none")).models
    assert need.patterns == ()


def test_other_engines_have_no_such_placeholder() -> None:
    what = with_command("vllm serve {model} --mmproj {mmproj}", top="mmproj: F16")
    assert [problem.code for problem in what.errors] == ["unknown-placeholder"]


def test_without_a_quantisation_one_is_chosen() -> None:
    (need,) = plan(with_command("llama-server -hf {model}", "llama-cpp", "acme/Falcon-GGUF")).models
    assert need.gguf_quant == USUAL_QUANT
    assert choose(FILES, USUAL_QUANT).files == ("Falcon-Q4_K_M.gguf",)


# Layouts as published: unsloth (large and small), ggml-org, bartowski, lmstudio-community, mradermacher, openbmb.
LAYOUTS = {
    "unsloth": ("BF16/F-BF16-00001-of-00002.gguf", "BF16/F-BF16-00002-of-00002.gguf", "F-Q4_K_M.gguf",
                "UD-Q6_K_XL/F-UD-Q6_K_XL-00001-of-00001.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf",
                "mmproj-F32.gguf"),
    "ggml-org": ("F-4b-it-Q4_K_M.gguf", "F-4b-it-f16.gguf", "mmproj-F-4b-it-Q8_0.gguf", "mmproj-F-4b-it-f16.gguf"),
    "bartowski": ("g_F-27b-bf16/g_F-27b-bf16-00001-of-00001.gguf", "g_F-27b-Q4_K_M.gguf", "mmproj-g_F-27b-bf16.gguf",
                  "mmproj-g_F-27b-f16.gguf", "mmproj-g_F-27b-f32.gguf"),
    "lmstudio": ("F-E4B-it-Q4_K_M.gguf", "mmproj-F-E4B-it-BF16.gguf"),
    "mradermacher": ("F-8B.Q4_K_M.gguf", "F-8B.f16.gguf", "F-8B.mmproj-Q8_0.gguf", "F-8B.mmproj-f16.gguf"),
    "openbmb": ("ggml-model-Q4_K_M.gguf", "Model-8B-F16.gguf", "mmproj-model-f16.gguf"),
    "two sizes": ("F-3B-Q8_0.gguf", "F-7B-Q4_K_M.gguf", "mmproj-F-3B-F16.gguf", "mmproj-F-7B-BF16.gguf"),
    "folder": ("F-Q4_K_M.gguf", "mmproj/model-f16.gguf"),
    "draft heads": ("F-Q4_K_M.gguf", "mtp-F-Q4_K_M.gguf", "MTP/Q4_K_M.gguf", "draft-Q4_K_M.gguf", "mmproj-F16.gguf"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "quant", "first", "projector"),
    [
        ("unsloth", "Q4_K_M", "F-Q4_K_M.gguf", "mmproj-F16.gguf"),
        ("unsloth", "BF16", "BF16/F-BF16-00001-of-00002.gguf", "mmproj-F16.gguf"),
        ("unsloth", "Q6_K_XL", "UD-Q6_K_XL/F-UD-Q6_K_XL-00001-of-00001.gguf", "mmproj-F16.gguf"),
        ("ggml-org", "f16", "F-4b-it-f16.gguf", "mmproj-F-4b-it-f16.gguf"),
        ("bartowski", "BF16", "g_F-27b-bf16/g_F-27b-bf16-00001-of-00001.gguf", "mmproj-g_F-27b-f16.gguf"),
        ("lmstudio", "Q4_K_M", "F-E4B-it-Q4_K_M.gguf", "mmproj-F-E4B-it-BF16.gguf"),
        ("mradermacher", "F16", "F-8B.f16.gguf", "F-8B.mmproj-f16.gguf"),
        ("openbmb", "F16", "Model-8B-F16.gguf", "mmproj-model-f16.gguf"),
        ("two sizes", "Q4_K_M", "F-7B-Q4_K_M.gguf", "mmproj-F-7B-BF16.gguf"),
        ("folder", "Q4_K_M", "F-Q4_K_M.gguf", "mmproj/model-f16.gguf"),
        ("draft heads", "Q4_K_M", "F-Q4_K_M.gguf", "mmproj-F16.gguf"),
    ],
)
def test_published_layouts(layout: str, quant: str, first: str, projector: str) -> None:
    choice = choose(LAYOUTS[layout], quant, OWN_PROJECTOR)
    assert (choice.first, choice.mmproj) == (first, projector)


@pytest.mark.parametrize(
    ("word", "projector"),
    [("f16", "mmproj-g_F-27b-f16.gguf"), ("BF16", "mmproj-g_F-27b-bf16.gguf"), ("27b", "mmproj-g_F-27b-f16.gguf")],
)
def test_a_part_of_a_projectors_name(word: str, projector: str) -> None:
    assert choose(LAYOUTS["bartowski"], "Q4_K_M", word).mmproj == projector


def test_a_projector_that_the_repository_lacks() -> None:
    with pytest.raises(LaunchError, match="no projector `F64`") as caught:
        choose(LAYOUTS["bartowski"], "Q4_K_M", "F64")
    assert "mmproj-g_F-27b-f16.gguf" in caught.value.remedy


def test_a_head_that_drafts_is_not_the_model() -> None:
    for quant in ("Q8_0", "F16"):
        with pytest.raises(LaunchError, match="no GGUF of the quantisation"):
            choose(["F-Q4_K_M.gguf", "mtp-F-Q8_0.gguf", "draft/F-F16.gguf"], quant)


@pytest.mark.parametrize("command", ["", "command: llama-server -hf {model}\n"])
def test_degrees_of_parallelism_say_what_to_write_instead(command: str) -> None:
    text = f"model: acme/F-GGUF:Q8_0\nruntime: llama-cpp\ncontainer: x:1\n{command}defaults:\n"
    values = "  tensor_parallel: 2\n  pipeline_parallel: 1\n  data_parallel: 3\n"
    problems = [found for found in plan(rendered(text + values)).problems if "_parallel`" in found.message]
    assert [(found.code, found.severity) for found in problems] == [("llama-degree", Severity.WARNING)] * 2
    assert "min_nodes: 2" in problems[0].remedy
    assert "for each copy" in problems[1].remedy
    enough = plan(rendered(f"{text}  tensor_parallel: 2\nmin_nodes: 2\n"), 2).problems
    assert not [found for found in enough if "_parallel`" in found.message]
