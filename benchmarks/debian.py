"""Where Debian's packages come from on this machine."""

from __future__ import annotations

import re
import subprocess


def debian_mirror() -> list[str]:
    """The Debian mirror that this machine's apt uses; empty (mmdebstrap's own choice) where it uses none."""
    command = [
        "apt-get",
        "indextargets",
        "--format",
        "$(RELEASE) $(REPO_URI)",
        "Created-By: Packages",
        "Origin: Debian",
    ]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    plain = [line.split()[1] for line in listed if re.fullmatch(r"[a-z]+ \S+", line)]
    return plain[:1]
