"""E2: hosts name their own addresses, and nothing is sent to or started on the machine of another one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.ssh.resolve import SshConfigResolver
from sparkrun_tui.remote.transfer.rsync import RsyncShipper
from tests.engines.samples import host
from tests.engines.test_eugr_vllm import RECIPE, plan, rendered

_FILE = Path("/proc/sys/kernel/random/boot_id")
BOOT = _FILE.read_text().strip() if _FILE.is_file() else ""
OTHER = "00000000-0000-4000-8000-000000000000"

# An ssh that comes to a machine of another boot, and writes down what it is to do there.
SSH = f"""\
#!/bin/sh
case $* in *boot_id*) echo {OTHER}; exit ;; esac
echo "$*" >>CANARY
cat >>CANARY
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {
        "ssh": SSH.replace("CANARY", str(tmp_path / "CANARY")),
        "git": "#!/bin/sh\necho 1f2e of 2026-03-01\n",
        "docker": "#!/bin/sh\n",
        "rsync": "#!/bin/sh\n",
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.skipif(not BOOT, reason="this system does not tell its boots apart")
@pytest.mark.parametrize("said", ["the other host's", "none", OTHER])
async def test_a_model_is_relayed_only_to_the_host_itself(
    said: str, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    shipper = RsyncShipper(SshConfigResolver(), HostKeyPolicy())
    boot = {"the other host's": BOOT, "none": ""}.get(said, said)
    assert await shipper.reaches(LocalTransport(), "192.0.2.7", boot) == (said == OTHER)


@pytest.mark.parametrize("address", ["...", "spark:2222", "-oProxyCommand=x", ""])
async def test_what_is_no_address_is_not_reached(address: str) -> None:
    """The words are a host's own, and no defect of this program."""
    assert not await RsyncShipper(SshConfigResolver(), HostKeyPolicy()).reaches(LocalTransport(), address, OTHER)


@pytest.mark.parametrize("boot", ["5a9d4d6e-6d0b-4a0e-9a53-6d1f6b6f4c11", ""])
def test_no_secret_goes_to_the_address_of_another_machine(boot: str, programs: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    views = (
        host(1, app_cache=str(cache), home=str(tmp_path)),
        host(2, app_cache=str(cache), home=str(tmp_path), address="192.0.2.7", boot_id=boot),
    )
    serve = plan(rendered(RECIPE), views=views, secret_env={"HF_TOKEN": Secret("s3cr3t-value")})
    clone = cache / "spark-vllm-docker"
    (clone / ".git").mkdir(parents=True)
    (clone / "run-recipe.sh").write_text(f"#!/bin/sh\ntouch {tmp_path}/CANARY\n")
    (clone / "run-recipe.sh").chmod(0o755)
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    for stage in serve.stages:
        (script,) = stage.scripts
        for path in script.secret_files:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("HF_TOKEN=s3cr3t-value\n")
        done = subprocess.run(
            ["sh", "-c", script.script], env=env, capture_output=True, text=True, check=False, timeout=20
        )
        assert done.returncode == 1
        assert "another machine at the address that spark-2 names" in done.stderr
    assert not (tmp_path / "CANARY").exists()
