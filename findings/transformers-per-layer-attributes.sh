#!/usr/bin/env bash
# transformers 5.24.0: hasattr() and getattr() with a default raise on the configuration of Gemma 4, and a configuration
# that is read and saved again has other keys.
#
# Why it matters: whoever sizes a KV cache asks `getattr(config, "head_dim", None)`. Where layers differ, as Gemma 4's
# sliding and full attention layers do, that raises AmbiguousGlobalPerLayerAttributeError, which is no AttributeError, so
# that the default is not taken; only to_dict() shows the value. And the keys `global_head_dim` and
# `num_global_key_value_heads` of a published config.json are gone once it was saved again (as quantisers do): in their
# place stands `per_layer_config` with the numbers of the layers as keys, padded with zeros from ten layers on.
#
# Seen on Python 3.11 without PyTorch, for 6 layers of which the last has full attention: both calls raise; to_dict() has
# head_dim 256; saved: per_layer_config {"5": {"head_dim": 512, "num_key_value_heads": 2}}, no global_head_dim.
# With 12 layers the keys are "05" and "11".
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
"${SPARKRUN_PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 huggingface-hub==2.4.0

cd "$folder"
HF_HOME="$folder/hf" HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - 2>"$folder/stderr" <<'PYTHON' || { cat "$folder/stderr" >&2; exit 1; }
import json
import os

import transformers


def load(layers):
    name = f"published-{layers}"
    os.makedirs(name)
    text = {
        "num_hidden_layers": layers,
        "head_dim": 256,
        "global_head_dim": 512,
        "num_key_value_heads": 8,
        "num_global_key_value_heads": 2,
        "attention_k_eq_v": True,
    }
    with open(f"{name}/config.json", "w") as file:
        json.dump({"model_type": "gemma4", "text_config": text}, file)
    return transformers.AutoConfig.from_pretrained(name)


def raised(call):
    try:
        return f"no: {call()!r}"
    except AttributeError:
        return "AttributeError"
    except Exception as error:
        return type(error).__name__


print("transformers", transformers.__version__)
config = load(6)
text = config.get_text_config()
asked = raised(lambda: hasattr(text, "head_dim"))
default = raised(lambda: getattr(text, "head_dim", None))
print("hasattr:", asked)
print("getattr with a default:", default)
print("to_dict:", text.to_dict()["head_dim"])
config.save_pretrained("saved")
with open("saved/config.json") as file:
    saved = json.load(file)["text_config"]
print("saved:", saved.get("per_layer_config"), "global_head_dim" in saved)
padded = sorted(load(12).get_text_config().to_dict()["per_layer_config"])
print("keys for 12 layers:", padded)

assert asked == default == "AmbiguousGlobalPerLayerAttributeError", (asked, default)
assert text.to_dict()["head_dim"] == 256
assert saved["per_layer_config"] == {"5": {"head_dim": 512, "num_key_value_heads": 2}}, saved
assert "global_head_dim" not in saved and "num_global_key_value_heads" not in saved
assert padded == ["05", "11"], padded
PYTHON
