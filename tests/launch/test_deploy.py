"""Recipes written for Compose, systemd and Kubernetes, read by what reads them there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.launch.deploy.forms import files_of
from sparkrun_tui.launch.deploy.service import service_name
from sparkrun_tui.recipe.format.loader import load_file, load_text
from sparkrun_tui.recipe.values.overrides import render
from tests.launch.crd_schemas import SCHEMAS

ROOT = Path(__file__).parents[2]
SECRET = "hf_0123456789abcdefghij"
ENVIRON = {"HF_TOKEN": SECRET, "HOME": "/home/ada"}
HEAD = """\
name: Tiny {word}
model: acme/tiny
runtime: {runtime}
container: acme/engine:1
max_nodes: {nodes}
min_nodes: {nodes}
defaults: {{port: 8123, host: 0.0.0.0, tensor_parallel: {nodes}}}
env:
  HF_TOKEN: ${{HF_TOKEN}}
  PLAIN: 'a $NOT_SET $(id) $$ 100% "b"'
command: |
  {command}
"""
COMMANDS = {
    "vllm": "vllm serve {model} --host {host} --port {port} -tp {tensor_parallel}",
    "vllm-distributed": "vllm serve {model} --host {host} --port {port} -tp {tensor_parallel}",
    "vllm-ray": "vllm serve {model} --host {host} --port {port} -tp {tensor_parallel}",
    "sglang": "python3 -m sglang.launch_server --model-path {model} --host {host} --port {port} --tp {tensor_parallel}",
}


def recipe(runtime: str = "vllm", nodes: int = 1, more: str = "", tail: str = "") -> str:
    return HEAD.format(word="Model", runtime=runtime, nodes=nodes, command=COMMANDS[runtime] + tail) + more


def written(form: str, text: str, hosts: tuple[str, ...] = ()) -> dict[str, str]:
    return dict(files_of(render(load_text(text), {}), form, ENVIRON, hosts))


def objects(text: str) -> dict[str, dict[str, Any]]:
    """The objects of a file by kind."""
    return {item["kind"]: item for item in yaml.safe_load_all(text)}


def shell_says(script: str, env: dict[str, str] | None = None) -> str:
    return subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=True).stdout


# --- all forms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["compose", "systemd", "kubernetes"])
def test_secrets_are_named_and_never_written(form: str) -> None:
    (text,) = written(form, recipe()).values()
    assert SECRET not in text
    assert "HF_TOKEN" in text


@pytest.mark.parametrize("form", ["compose", "systemd", "kubernetes"])
def test_what_only_this_program_does_is_refused(form: str) -> None:
    delegated = recipe().replace("runtime: vllm", "runtime: eugr-vllm").replace("acme/engine:1", "vllm-node")
    with pytest.raises(LaunchError, match="scripts of another project"):
        written(form, delegated)
    with pytest.raises(LaunchError, match="tensor_parallel"):
        written(form, recipe().replace("tensor_parallel: 1", "tensor_parallel: 2"))


@pytest.mark.parametrize("form", ["compose", "systemd", "kubernetes"])
def test_what_runs_after_the_start_is_named_as_left_out(form: str) -> None:
    (text,) = written(form, recipe(more="post_exec: [echo ready]\n")).values()
    assert "# Not carried over: post_exec (recipe.yaml:13), which runs" in text


def test_names_are_dns_labels() -> None:
    assert service_name("Qwen3.6_35B  A3B!") == "qwen3-6-35b-a3b"
    assert service_name("120b") == "model-120b"
    assert len(service_name("x" * 300)) <= 52


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.yaml")), ids=lambda path: path.stem)
def test_bundled_recipes_can_be_written_for_kubernetes(path: Path) -> None:
    what = render(load_file(path), {})
    try:
        (text,) = files_of(what, "kubernetes", {}).values()
    except LaunchError as error:
        assert "eugr" in path.stem and "scripts of another project" in error.what
        return
    found = objects(text)
    for kind in ("PersistentVolumeClaim", "Service", "Deployment"):
        if kind in found:
            kubernetes_validate.validate(found[kind], "1.37", strict=True)
    for pod in pods(found):
        kubernetes_validate.validate(pod, "1.37", strict=True)
    insist_on_crds(found)


def insist_on_crds(found: dict[str, dict[str, Any]]) -> None:
    """The objects of operators are as their CRDs say."""
    for kind in SCHEMAS.keys() & found.keys():
        Draft202012Validator(SCHEMAS[kind]).validate(found[kind])


# --- Compose -----------------------------------------------------------------------------------------------------


def test_compose_runs_the_same_script_in_the_same_environment() -> None:
    (text,) = written("compose", recipe(tail=' --json \'{"a": "$HOME"}\'')).values()
    (service,) = yaml.safe_load(text)["services"].values()
    # Compose takes $$ for a dollar sign, and ${NAME:?words} from the environment.
    assert service["command"][0].replace("$$", "$").strip().endswith('--json \'{"a": "$HOME"}\'')
    assert service["environment"]["PLAIN"].replace("$$", "$") == 'a $NOT_SET $(id) $$ 100% "b"'
    assert service["environment"]["HF_TOKEN"] == "${HF_TOKEN:?set HF_TOKEN}"
    assert service["network_mode"] == "host"
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert service["volumes"][0] == "${HOME}/.cache/huggingface:/root/.cache/huggingface"


def test_the_health_check_of_compose_reads_the_answer(tmp_path: Path) -> None:
    (text,) = written("compose", recipe()).values()
    (service,) = yaml.safe_load(text)["services"].values()
    words = service["healthcheck"]["test"][1:]
    server = (
        "import http.server, sys\n"
        "class Answer(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200 if self.path == '/health' else 404); self.end_headers()\n"
        "    def log_message(self, *words): pass\n"
        "serving = http.server.HTTPServer(('127.0.0.1', 0), Answer)\n"
        "print(serving.server_port, flush=True)\n"
        "serving.serve_forever()\n"
    )
    with subprocess.Popen(["python3", "-c", server], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        port = running.stdout.readline().strip()
        try:
            right = [word.replace("/8123", f"/{port}") for word in words]
            wrong = [word.replace("/health", "/other") for word in right]
            assert subprocess.run(right, check=False).returncode == 0
            assert subprocess.run(wrong, check=False).returncode != 0
        finally:
            running.kill()
    assert subprocess.run(right, stderr=subprocess.DEVNULL, check=False).returncode != 0


def test_compose_is_for_one_host() -> None:
    with pytest.raises(LaunchError, match="for 2 hosts") as caught:
        written("compose", recipe("vllm-distributed", 2))
    assert "kubernetes" in caught.value.remedy


# --- systemd -----------------------------------------------------------------------------------------------------


def words_of(line: str) -> list[str]:
    """The words of a line of a unit as systemd reads them (systemd.syntax, "Quoting"), with %h and $$ filled in."""
    words, at = [], 0
    while at < len(line):
        if line[at] == " ":
            at += 1
            continue
        assert line[at] == '"'
        at += 1
        word = ""
        while line[at] != '"':
            if line[at] == "\\":
                at += 1
                word += {"n": "\n", "t": "\t"}.get(line[at], line[at])
            else:
                word += line[at]
            at += 1
        at += 1
        words.append(word.replace("%h", "/home/ada").replace("%%", "%").replace("$$", "$"))
    return words


def test_a_unit_runs_the_words_that_a_launch_would() -> None:
    (text,) = written("systemd", recipe(tail=' --json \'{"a": "$HOME\\n100%"}\'')).values()
    (line,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    words = words_of(line.removeprefix("ExecStart="))
    assert words[:4] == ["/usr/bin/docker", "run", "--rm", "--init"]
    assert 'PLAIN=a $NOT_SET $(id) $$ 100% "b"' in words
    assert "/home/ada/.cache/huggingface:/root/.cache/huggingface" in words
    assert words[words.index("HF_TOKEN") - 1] == "-e"
    assert words[-1].strip().endswith('--json \'{"a": "$HOME\\n100%"}\'')
    assert "EnvironmentFile=-%h/.config/sparkrun-tui/tiny-model.env" in text


def test_several_hosts_get_a_unit_each() -> None:
    files = written("systemd", recipe("vllm-distributed", 2), ("ada@spark-1", "spark-2"))
    assert list(files) == ["tiny-model-0.service", "tiny-model-1.service"]
    for rank, text in enumerate(files.values()):
        assert f"--nnodes 2 --node-rank {rank} --master-addr spark-1 " in text
    with pytest.raises(LaunchError, match="for 2 hosts"):
        written("systemd", recipe("vllm-distributed", 2))
    with pytest.raises(LaunchError, match="running containers"):
        written("systemd", recipe("vllm-ray", 2), ("spark-1", "spark-2"))


# --- Kubernetes --------------------------------------------------------------------------------------------------


def pods(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The pods that the workload makes, as objects of their own."""
    if "Deployment" in found:
        templates = [found["Deployment"]["spec"]["template"]]
    else:
        group = found["LeaderWorkerSet"]["spec"]["leaderWorkerTemplate"]
        assert set(group) == {"size", "restartPolicy", "leaderTemplate", "workerTemplate"}
        templates = [group["leaderTemplate"], group["workerTemplate"]]
    return [{"apiVersion": "v1", "kind": "Pod", **template} for template in templates]


def in_kubernetes(text: str, variables: dict[str, str]) -> str:
    """A text as Kubernetes passes it on (expansion.go: `$(NAME)` of known names, `$$` is one dollar sign)."""
    out, at = "", 0
    while at < len(text):
        if text[at] == "$" and text[at + 1 : at + 2] == "$":
            out += "$"
            at += 2
        elif text[at] == "$" and text[at + 1 : at + 2] == "(" and ")" in text[at:]:
            end = text.index(")", at)
            out += variables.get(text[at + 2 : end], text[at : end + 1])
            at = end + 1
        else:
            out += text[at]
            at += 1
    return out


def test_a_deployment_is_what_a_launch_would_run() -> None:
    (text,) = written("kubernetes", recipe(tail=" --json \"$(echo '{}')$$\"")).values()
    found = objects(text)
    assert set(found) == {"PersistentVolumeClaim", "Deployment", "Service"}
    (pod,) = pods(found)
    (container,) = pod["spec"]["containers"]
    known = {"echo '{}'": "wrong"}
    assert in_kubernetes(container["args"][0], known).strip().endswith("--json \"$(echo '{}')$$\"")
    env = {entry["name"]: entry for entry in container["env"]}
    assert in_kubernetes(env["PLAIN"]["value"], {"id": "wrong"}) == 'a $NOT_SET $(id) $$ 100% "b"'
    assert env["HF_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "tiny-model", "key": "HF_TOKEN"}
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 1}
    assert container["startupProbe"]["httpGet"] == {"path": "/health", "port": "http"}
    assert found["Service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert found["Deployment"]["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


@pytest.mark.parametrize("runtime", ["vllm-distributed", "vllm-ray", "sglang"])
@pytest.mark.parametrize("nodes", [2, 4])
def test_several_nodes_find_each_other(runtime: str, nodes: int) -> None:
    (text,) = written("kubernetes", recipe(runtime, nodes)).values()
    found = objects(text)
    assert set(found) == {"PersistentVolumeClaim", "LeaderWorkerSet", "Service"}
    assert found["LeaderWorkerSet"]["spec"]["leaderWorkerTemplate"]["size"] == nodes
    insist_on_crds(found)
    leader, worker = pods(found)
    for pod in (leader, worker):
        kubernetes_validate.validate(pod, "1.37", strict=True)
    said = []
    for pod, index in ((leader, 0), (worker, nodes - 1)):
        (container,) = pod["spec"]["containers"]
        values = {"LWS_LEADER_ADDRESS": "leader.ns", "LWS_WORKER_INDEX": str(index), "POD_IP": f"10.0.0.{index}"}
        stand_ins = "\n".join(f'{name}() {{ echo {name} "$@"; }}' for name in ("vllm", "ray", "python3", "until_ready"))
        said.append(
            shell_says(
                f"{stand_ins}\n{in_kubernetes(container['args'][0], values)}", {**values, "PATH": "/usr/bin:/bin"}
            )
        )
    assert "lws-" not in "".join(said)
    if runtime == "vllm-ray":
        assert "--head --port" in said[0] and "--node-ip-address 10.0.0.0" in said[0]
        assert "vllm serve acme/tiny" in said[0] and "--distributed-executor-backend ray" in said[0]
        assert "--address=leader.ns:" in said[1] and f"--node-ip-address 10.0.0.{nodes - 1}" in said[1]
        return
    address = "--dist-init-addr leader.ns:" if runtime == "sglang" else "--master-addr leader.ns "
    for index, text in ((0, said[0]), (nodes - 1, said[1])):
        assert address in text
        assert f"--nnodes {nodes} --node-rank {index}" in text


def test_folders_of_the_hosts_stay_folders_of_the_nodes() -> None:
    more = "executor_config: {volumes: ['/srv/models:/models:ro'], devices: [/dev/infiniband], cap_add: [SYS_NICE]}\n"
    (text,) = written("kubernetes", recipe(more=more)).values()
    (pod,) = pods(objects(text))
    kubernetes_validate.validate(pod, "1.37", strict=True)
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    (name,) = [name for name in volumes if name.startswith("host-")]
    assert volumes[name]["hostPath"] == {"path": "/srv/models"}
    (container,) = pod["spec"]["containers"]
    assert {"name": name, "mountPath": "/models", "readOnly": True} in container["volumeMounts"]
    assert container["securityContext"]["capabilities"]["add"] == ["SYS_NICE", "IPC_LOCK"]
    assert "# Not carried over: the devices /dev/infiniband" in text


def test_a_llama_without_its_model_does_not_start() -> None:
    """It would answer `/health` as a router that has no model."""
    text = "model: acme/tiny-GGUF:Q8_0\nruntime: llama-cpp\ncontainer: acme/llama:1\nname: tiny\n"
    (compose,) = written("compose", text + "command: llama-server -hf {model} --port 8123\n").values()
    (service,) = yaml.safe_load(compose)["services"].values()
    done = subprocess.run(
        ["bash", "-c", service["command"][0].replace("$$", "$")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "the model is not in the cache: hf download acme/tiny-GGUF" in done.stderr


# --- KubeRay -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [2, 4])
def test_a_ray_cluster_serves_once_all_nodes_have_joined(nodes: int) -> None:
    (text,) = written("kuberay", recipe("vllm-ray", nodes)).values()
    found = objects(text)
    assert set(found) == {"PersistentVolumeClaim", "RayCluster", "Service"}
    insist_on_crds(found)
    cluster = found["RayCluster"]
    # Without it KubeRay puts its own `ray start` in place of what is written here.
    assert cluster["metadata"]["annotations"] == {"ray.io/overwrite-container-cmd": "true"}
    head, (workers,) = cluster["spec"]["headGroupSpec"], cluster["spec"]["workerGroupSpecs"]
    assert {workers["replicas"], workers["minReplicas"], workers["maxReplicas"]} == {nodes - 1}
    said = []
    for template, address in ((head["template"], "10.0.0.1"), (workers["template"], "10.0.0.2")):
        kubernetes_validate.validate({"apiVersion": "v1", "kind": "Pod", **template}, "1.37", strict=True)
        (container,) = template["spec"]["containers"]
        assert container["livenessProbe"] and container["readinessProbe"]
        values = {"FQ_RAY_IP": "head.ns", "POD_IP": address}
        stand_ins = "\n".join(f'{name}() {{ echo {name} "$@"; }}' for name in ("vllm", "ray", "python3"))
        script = in_kubernetes(container["args"][0], values)
        said.append(shell_says(f"{stand_ins}\n{script}", {**values, "PATH": "/usr/bin:/bin"}))
        env = {entry["name"]: entry.get("value", "") for entry in container["env"]}
        assert in_kubernetes(env["VLLM_HOST_IP"], values) == address
    port = head["rayStartParams"]["port"]
    assert f"--head --port {port} --node-ip-address 10.0.0.1" in said[0] and "vllm serve acme/tiny" in said[0]
    assert f"--address=head.ns:{port} --node-ip-address 10.0.0.2" in said[1]
    assert "lws-" not in text.lower() and "LWS" not in text
    assert found["Service"]["spec"]["selector"] == {"ray.io/cluster": "tiny-model", "ray.io/node-type": "head"}


@pytest.mark.parametrize(("runtime", "nodes"), [("vllm", 1), ("vllm-distributed", 2), ("sglang", 2)])
def test_what_does_not_run_ray_is_no_ray_cluster(runtime: str, nodes: int) -> None:
    with pytest.raises(LaunchError, match="does not run Ray"):
        written("kuberay", recipe(runtime, nodes))


@pytest.mark.parametrize(
    ("form", "runtime", "nodes"), [("kubernetes", "vllm", 1), ("kubernetes", "sglang", 2), ("kuberay", "vllm-ray", 2)]
)
def test_kubectl_builds_what_is_written(form: str, runtime: str, nodes: int, tmp_path: Path) -> None:
    """The part of kubectl that needs no server: it reads every object, and puts it into a namespace."""
    kubectl = Path(sys.executable).with_name("kubectl")
    (text,) = written(form, recipe(runtime, nodes)).values()
    (tmp_path / "all.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "kustomization.yaml").write_text("resources: [all.yaml]\nnamespace: models\n", encoding="utf-8")
    built = subprocess.run([kubectl, "kustomize", tmp_path], capture_output=True, text=True, check=True).stdout
    assert objects(built).keys() == objects(text).keys()
    assert {item["metadata"]["namespace"] for item in objects(built).values()} == {"models"}
    for kind, item in objects(built).items():
        assert item["spec"] == objects(text)[kind]["spec"]
