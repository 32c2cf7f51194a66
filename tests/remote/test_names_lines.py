"""Host names as people write them, and bytes of a stream as lines."""

from __future__ import annotations

import getpass
import socket
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.shell import path_word
from sparkrun_tui.remote.script.lines import MAX_BYTES, LineSplitter
from sparkrun_tui.remote.script.output import AfterMark, Kept
from sparkrun_tui.remote.ssh.names import is_this_machine, parse_host


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("spark-01", "", "spark-01", None),
        ("nvidia@spark-01.local", "nvidia", "spark-01.local", None),
        ("10.0.0.7:2222", "", "10.0.0.7", 2222),
        ("me@host:22", "me", "host", 22),
        ("fe80::1%eth0", "", "fe80::1%eth0", None),
        ("[::1]:2222", "", "::1", 2222),
        ("me@[fd00::2]", "me", "fd00::2", None),
    ],
)
def test_hosts_as_people_write_them(text: str, user: str, host: str, port: int | None) -> None:
    found = parse_host(text)
    assert (found.user, found.host, found.port) == (user, host, port)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "a b", "-oProxyCommand=x", "--", "a;b", "$(id)", "`id`", "a\nb", "a\0b", "me@-x", "-me@host", "ssh://x",
        "a/b", "host:0", "host:99999", "[::1", "ho[st]", "a@b@c", "ü", "a'b", 'a"b', "a|b", "a&b", "a>b", "x" * 300,
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(HostError):
        parse_host(text)


def test_this_machine_is_known_by_its_names() -> None:
    for name in ("localhost", "127.0.0.1", "::1", socket.gethostname(), f"{getpass.getuser()}@localhost"):
        assert is_this_machine(name)
    for name in ("spark-99", "localhost:2222", "somebody-else@localhost"):
        assert not is_this_machine(name)


def split(*chunks: bytes) -> list[str]:
    splitter = LineSplitter()
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.flush()


def test_lines_end_where_they_end() -> None:
    assert split(b"one\ntw", b"o\n\nthree") == ["one", "two", "", "three"]
    assert split(b"windows\r\nlines\r", b"\n") == ["windows", "lines"]
    assert split() == []


def test_a_carriage_return_starts_the_line_over() -> None:
    assert split(b"10%\r20%\r", b"30%\n", b"done\n") == ["30%", "done"]
    splitter = LineSplitter()
    splitter.feed(b"10%\r20%")
    assert splitter.pending == "20%"


def test_bytes_that_are_no_text_never_fail() -> None:
    assert split(b"a\xff\xfe\n", b"\xc3", b"\xa9\n", b"\xc3") == ["a\ufffd\ufffd", "é", "\ufffd"]


def test_an_endless_line_is_cut_and_counted() -> None:
    (line,) = split(*[b"x" * 1000] * 5000, b"\n")
    assert line == "x" * MAX_BYTES + f" … ({5_000_000 - MAX_BYTES:,} more characters)"
    assert split(b"y" * 20_000 + b"\rshort\n") == ["short"]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_how_it_is_cut_into_chunks_makes_no_difference(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut <= len(data)), len(data)]
    chunks = [data[start:end] for start, end in pairwise(edges)]
    assert split(*chunks) == split(data)


def test_bounded_output_keeps_both_ends() -> None:
    kept = Kept(10)
    for number in range(100):
        kept.add(b"%02d" % number)
    text = kept.text()
    assert text.startswith("0001020304\n… 180 bytes left out …\n")
    assert text.endswith("9596979899")
    small = Kept(10)
    small.add(b"0123456789abcdef")
    assert small.text() == "0123456789abcdef"


@given(st.binary(max_size=50), st.binary(max_size=50), st.integers(0, 120))
def test_what_comes_before_the_mark_is_no_output(banner: bytes, output: bytes, cut: int) -> None:
    after = AfterMark(b"MARK-1234567890")
    data = banner + b"MARK-1234567890\n" + output
    assert after.feed(data[:cut]) + after.feed(data[cut:]) == output
    assert after.banner == banner


def test_paths_as_shell_words() -> None:
    assert path_word("~/.cache/it's") == "\"$HOME\"/'.cache/it'\"'\"'s'"
    assert path_word("/a b") == "'/a b'"
    assert path_word("~") == '"$HOME"'
    assert path_word("$(id)") == "'$(id)'"
