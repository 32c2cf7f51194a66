"""A secret does not come out by accident, in any form it may take."""

from __future__ import annotations

import base64
import json
import pickle
from urllib.parse import quote

from sparkrun_tui.base.secrets import MASK, Redactor, Secret, looks_secret

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


def test_short_values_are_left_alone() -> None:
    assert Redactor(["yes"])("yes, ready") == "yes, ready"


def test_names_tell_secrets() -> None:
    assert looks_secret("HF_TOKEN")
    assert looks_secret("OPENAI_API_KEY")
    assert not looks_secret("NCCL_DEBUG")
    assert not looks_secret("VLLM_ALLOW_LONG_MAX_MODEL_LEN")
