from __future__ import annotations

import pytest

from sparkrun_tui.recipe.values.shell_scanner import quotes_at
from sparkrun_tui.recipe.values.shellwords import commands, flag_value, serve_argv

SCRIPT = """\
# it's a comment
export X="a b" && pip install 'x[y]' > /dev/null 2>&1
cat <<'END' > file
don't {x} "
END
exec vllm serve a/b \\
  --json '{"b": "c d"}' \\
  --u http://x/#y $(hostname -I | awk '{print $1}') "$HOME/a\\"b" --z | tee log
"""


def test_a_script_is_cut_into_commands() -> None:
    assert commands(SCRIPT) == [
        ["export", "X=a b"],
        ["pip", "install", "x[y]"],
        ["cat"],
        [
            "exec", "vllm", "serve", "a/b", "--json", '{"b": "c d"}', "--u", "http://x/#y",
            "$(hostname -I | awk '{print $1}')", '$HOME/a"b', "--z",
        ],
        ["tee", "log"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("a b", [["a", "b"]]),
        ("a\\\n b", [["a", "b"]]),
        ("a\\\r\n b\r\n", [["a", "b"]]),
        ("'a'\"b\"c\\ d", [["abc d"]]),
        ("''", [[""]]),
        ("a;b\nc&", [["a"], ["b"], ["c"]]),
        ("a 2>&1 >x <y b", [["a", "b"]]),
        ("a x=$((1+2)) `b c`", [["a", "x=$((1+2))", "`b c`"]]),
        ("a 'x\ny'", [["a", "x\ny"]]),
        ("cat <<E\nnever ended 'x", [["cat"]]),
        ("a <<< 'word' b", [["a", "b"]]),
        ("a$b ${c:-d}", [["a$b", "${c:-d}"]]),
    ],
)
def test_words(text: str, words: list[list[str]]) -> None:
    assert commands(text) == words


def test_an_open_quote_is_an_error_and_no_arguments() -> None:
    for text in ("a 'b", 'a "b', "a `b", "a $(b"):
        with pytest.raises(ValueError, match="unbalanced"):
            commands(text)
        assert serve_argv(text) == ()


def test_the_engines_command_is_found_among_others() -> None:
    assert serve_argv(SCRIPT)[:3] == ("exec", "vllm", "serve")
    assert serve_argv("pip install vllm-x\npython3 -m sglang.launch_server --tp 2\necho done")[:2] == ("python3", "-m")
    assert serve_argv("export A=1\n/app/llama-server -m x")[0] == "/app/llama-server"
    assert serve_argv("first\nother thing") == ("other", "thing")


def test_flag_values() -> None:
    argv = ("x", "-tp", "2", "--port=1", "--port", "3")
    assert flag_value(argv, ("-tp", "--tensor-parallel-size")) == "2"
    assert flag_value(argv, ("--port",)) == "3"
    assert flag_value(argv, ("--none",)) is None
    assert flag_value(("--last",), ("--last",)) is None


def test_what_surrounds_a_place() -> None:
    def around(text: str) -> str:
        place = text.index("@")
        return quotes_at(text.replace("@", "{"), [place])[place]

    assert around("a @") == ""
    assert around("a '@'") == "'"
    assert around('a "x@"') == '"'
    assert around('a "x" @') == ""
    assert around("# it's\n@") == ""
    assert around("a # @") == "#"
    assert around("cat <<E\n@\nE\n") == "<"
    assert around("cat <<E\nx\nE\n@") == ""
    assert around("a '@") == "'"
