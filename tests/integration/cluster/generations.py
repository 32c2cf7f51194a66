"""Which hosts a test gets as its `hosts`: two of this machine's own generation, two of Debian 13, or one of each."""

from __future__ import annotations

from enum import StrEnum

import pytest

from cluster.host import Host


class Generation(StrEnum):
    """A pair of hosts."""

    OWN = "own"
    """Both with the programs of this machine."""

    NEWER = "newer"
    """Both with Debian 13's, images in containerd's store."""

    MIXED = "mixed"
    """The head with this machine's programs, the worker with Debian 13's."""

    MIXED_BACK = "mixed-back"
    """The head with Debian 13's programs, the worker with this machine's."""

    def of(self, own: list[Host], newer: list[Host]) -> list[Host]:
        """The two hosts, head first, out of two of each generation."""
        match self:
            case Generation.OWN:
                return list(own)
            case Generation.NEWER:
                return list(newer)
            case Generation.MIXED:
                return [own[0], newer[1]]
            case Generation.MIXED_BACK:
                return [newer[0], own[1]]


def on(*generations: Generation) -> pytest.MarkDecorator:
    """A test that runs once on the hosts of each of these generations."""
    return pytest.mark.parametrize("hosts", generations, indirect=True, ids=[one.value for one in generations])


on_both = on(Generation.OWN, Generation.NEWER)
"""For what one host does."""

on_pairs = on(Generation.OWN, Generation.NEWER, Generation.MIXED)
"""For what two hosts do together."""
