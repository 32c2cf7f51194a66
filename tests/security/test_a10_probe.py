"""A10: a line of the probe's answer that is no sense is an unknown value, and never an exception."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.launch.run.steps.start import ray_nodes
from sparkrun_tui.remote.hub.cache import whole
from sparkrun_tui.remote.hub.host_cache import read
from sparkrun_tui.remote.probe.parse import parse
from sparkrun_tui.remote.transfer.rsync import progress

BAD = ["9" * 5000, "²", "-1", "1e999", "nan", "0x1", "", "1_0", "9" * 400 + ".5"]
FORMS = [
    "[[meminfo\nMemTotal: {} kB\n]]",
    "disk=/\tdev {} 1 {} 1% /\tdev {} 1 {} 1% /",
    "[[gpus\nNVIDIA, {}, {}, {}, {}, {}\n]]",
    "epoch={}",
    "[[route\ndefault via 10.0.0.1 dev eth0 metric {}\n]]",
    "rdma=mlx5\teth0\t{}",
    '[[listen\nLISTEN 0 1 *:{} *:* users:(("x",pid={},fd=1))\n]]',
    "[[tcp\n0: 0:{} 0:0 0A\n]]",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bad", BAD)
def test_bad_numbers_are_unknown(form: str, bad: str) -> None:
    facts = parse(form.replace("{}", bad), name="a", taken=0.0, round_trip=0.0, ports=(1,))
    assert facts.memory_total < 1 << 60
    assert all(0 <= port < 65_536 for port in facts.used_ports)


@given(st.text(st.sampled_from("MemTotal:[]=\n\t 0123456789²٣.kBdisk,ngpuslt"), max_size=300))
def test_no_text_raises(text: str) -> None:
    parse(text, name="a", taken=0.0, round_trip=0.0)


def test_other_texts_of_hosts() -> None:
    for bad in BAD:
        listing = read(f"commit\t{'a' * 40}\nfile\t{bad}\tx\n")
        assert listing is not None and listing.files == ()
    assert progress(b"9" * 5000 + b" 5% 1MB/s 0:00:01") is None
    assert ray_nodes("Active:\n" + " 99999999999 node_x\n" + "\n" * 100_000) == 0
    assert not whole(["a.safetensors", "config.json"], {"x": "[" * 100_000}, partial=False)
    assert not whole(["a.safetensors", "config.json"], {"x": '{"weight_map": {"a": []}}'}, partial=False)
