"""Programs on the workstation that serve the whole cluster: the image registry and the Hub stand-in."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from cluster.spec import CONTROL_IP, HUB_PORT, REGISTRY

HUB_PROGRAM = Path(__file__).with_name("hub.py")

_REGISTRY_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {storage}}}
  delete: {{enabled: true}}
http:
  addr: {address}
"""


@dataclass(frozen=True, slots=True)
class Service:
    """A program that the supervisor starts with the cluster; it ends with the cluster."""

    name: str
    argv: tuple[str, ...]

    def order(self, directory: Path) -> dict[str, object]:
        """The service as the supervisor reads it; its output goes to `directory`/NAME.log."""
        return {"argv": list(self.argv), "log": str(directory / f"{self.name}.log")}


def registry(storage: Path) -> Service:
    """Debian's docker-registry over `storage`, which may be kept from run to run."""
    storage.mkdir(parents=True, exist_ok=True)
    config = storage / "config.yml"
    config.write_text(_REGISTRY_CONFIG.format(storage=storage / "data", address=REGISTRY))
    return Service("registry", ("docker-registry", "serve", str(config)))


def hub(repositories: Path) -> Service:
    """The Hub stand-in over `repositories`/ORGANISATION/NAME/files."""
    return Service("hub", (sys.executable, str(HUB_PROGRAM), str(repositories), CONTROL_IP, str(HUB_PORT)))
