"""Makes the models that the real vLLM serves, of random numbers but complete: `make_models.py FOLDER`.

Runs in vLLM's environment, which has the libraries for it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

CHAT = "tiny-lab/real-chat"
EMBEDDING = "tiny-lab/real-embedding"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "[CLS]", "[SEP]"]
"""The first tokens, by their numbers."""

WORDS = "a spark runs one model on several hosts and the user asks it what two plus two is hello world"
CONTEXT = 4096
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer() -> Tokenizer:
    """Byte-level BPE, trained on a few words."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1024, initial_alphabet=alphabet, special_tokens=SPECIAL)
    words = WORDS.split()
    turned = [" ".join(words[start:] + words[:start]) for start in range(len(words))]
    made.train_from_iterator(turned, trainer)
    return made


def write_chat(folder: Path) -> None:
    """A Qwen3 of a million parameters, in two shards."""
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(), eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=CONTEXT
    )
    made.chat_template = CHAT_TEMPLATE
    made.save_pretrained(folder)
    # Every token that it may choose is one of the tokeniser's, so that an answer has letters.
    config = Qwen3Config(
        vocab_size=len(made), hidden_size=128, intermediate_size=256, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=64, max_position_embeddings=CONTEXT, tie_word_embeddings=True,
        bos_token_id=None, pad_token_id=SPECIAL.index("<|endoftext|>"), eos_token_id=SPECIAL.index("<|im_end|>"),
    )  # fmt: skip
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder, max_shard_size="1000KB")


def write_embedding(folder: Path) -> None:
    """A BERT, whose architecture alone says that it answers with embeddings."""
    inner = tokenizer()
    special = [(word, SPECIAL.index(word)) for word in ("[CLS]", "[SEP]")]
    inner.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner, cls_token="[CLS]", sep_token="[SEP]", pad_token="<|endoftext|>", model_max_length=512
    )
    made.save_pretrained(folder)
    config = BertConfig(
        vocab_size=1024, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=512, pad_token_id=SPECIAL.index("<|endoftext|>"),
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)


def main() -> None:
    """All models, the same at each call."""
    root = Path(sys.argv[1])
    torch.manual_seed(0)
    write_chat(root / CHAT)
    write_embedding(root / EMBEDDING)


if __name__ == "__main__":
    main()
