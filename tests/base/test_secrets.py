"""A secret does not come out by accident, in any form it may take."""

from __future__ import annotations

import base64
import json
import pickle
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.base.secrets import MASK, Redactor, Secret, looks_secret
from sparkrun_tui.launch.record.logs import LogLine, safe_line, safe_lines

VALUE = "canary/with+odd=chars"


def test_a_secret_prints_as_dots() -> None:
    secret = Secret(VALUE)
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", json.dumps({"x": secret}, default=str)]
    assert all(VALUE not in text for text in shown)
    assert VALUE.encode() not in pickle.dumps(secret)
    assert secret.reveal() == VALUE


def test_the_redactor_knows_the_value_in_its_usual_encodings() -> None:
    redact = Redactor([Secret(VALUE)])
    for form in (VALUE, quote(VALUE, safe=""), base64.b64encode(VALUE.encode()).decode()):
        assert redact(f"before {form} after") == f"before {MASK} after"


def test_known_token_forms_go_without_being_told() -> None:
    redact = Redactor()
    assert "hf_" not in redact("token hf_" + "a" * 34)
    assert redact("https://user:secretpass@host/x") == f"https://{MASK}@host/x"
    assert redact("an ordinary line") == "an ordinary line"


TEXTS = st.lists(
    st.sampled_from(["plain", VALUE, f"x {VALUE[:7]}…", "hf_" + "a" * 34, "https://u:pw@h/x", "short1", "cana", "ry"])
    | st.text(max_size=20),
    max_size=8,
)


@given(texts=TEXTS)
def test_texts_that_come_together_are_as_safe_as_each_alone(texts: list[str]) -> None:
    for redact in (Redactor(), Redactor([VALUE, "short1"])):
        assert redact.each(texts) == [redact(text) for text in texts]


@given(texts=TEXTS)
def test_lines_that_come_together_are_as_safe_as_each_alone(texts: list[str]) -> None:
    redact = Redactor([VALUE])
    words = ["api_key='abcdefgh'", '"password": "abcdefgh"', "Bearer abcdefgh1", "\x1b[1mbold\x1b[0m"]
    for extra in ([], words):
        lines = [LogLine(1.0, "stdout", text) for text in [*texts, *extra]]
        assert safe_lines(lines, redact) == [safe_line(line, redact) for line in lines]


def test_short_values_are_left_alone() -> None:
    assert Redactor(["yes"])("yes, ready") == "yes, ready"


def test_names_tell_secrets() -> None:
    assert looks_secret("HF_TOKEN")
    assert looks_secret("OPENAI_API_KEY")
    assert not looks_secret("NCCL_DEBUG")
    assert not looks_secret("VLLM_ALLOW_LONG_MAX_MODEL_LEN")
