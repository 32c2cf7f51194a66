"""What the words of an exception speak of: a part of the engine that can be chosen, changed or left out."""

from __future__ import annotations

from sparkrun_tui.base.reading.patterns import LinePattern
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.engines.logs.causes import Context, Repair, by_hand
from sparkrun_tui.launch.diagnosis.places import (
    EAGER,
    NO_CUSTOM_REDUCE,
    NO_DRAFTER,
    OTHER_ATTENTION,
    OTHER_EXPERTS,
    OTHER_QUANTISATION,
)

_MOST = 2
"""Most repairs that are taken from what words speak of."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A part of the engine, by the words that engines have for it."""

    words: LinePattern
    names: tuple[str, ...]
    """Parts of the titles of repairs that are about it already."""
    repair: Repair
    by_class: bool = False
    """Whether the words are the names of classes, which say more than words of a sentence."""


def _subject(words: str, repair: Repair, *names: str, by_class: bool = False) -> Subject:
    return Subject(LinePattern(words), names, repair, by_class)


FEWER_RANKS = by_hand("another tensor_parallel: 1, 2, 4 or 8", "the model's parts must divide over the ranks")
_NO_DRAFTER = by_hand(NO_DRAFTER.title, "the message is about drafting")
_DIVIDES = LinePattern(
    r"divisible|multiple of|divides? |must be divided|evenly|greater than the number of experts|> num_|"
    r" % \S{0,40}(?:tp|parallel|world|rank)\w{0,12}size|(?:tp|world)_size % "
)
_OF_RANKS = LinePattern(
    r"(?i)tensor.?(?:model.?)?parallel|\btp\b|tp_size|\btp\d|world.?size|\branks?\b|partition|sharded"
)
"""Words that speak of the ranks themselves."""
_OF_PARTS = LinePattern(
    r"(?i)heads?\b|\bexperts?\b|\bsize_[nk]\b|"
    r"(?:hidden|intermediate|vocab|output|input|weight)[ _](?:[a-z]{1,12}[ _])?size"
)
"""Words for parts of a model that the ranks share, where they are to divide by something."""
_NUMBER = late_regex(r"(?<![\w.])\d{1,5}(?![\w])")
_BY = LinePattern(r"divisible by|multiple of")
_OF_CACHE = LinePattern(r"(?i)kv.?cache.?d?type|cache.?dtype|kv_data_type")
_OTHER_CACHE = by_hand("kv_cache_dtype auto, or another one", "the words name the type of the KV cache")

SUBJECTS = (
    _subject(
        r"\b\w{0,60}(?:Attention|Attn|MLA|FlashInfer|XFormers|FlashMLA)\w{0,40}"
        r"(?:Impl|Backend|Metadata|Builder|Wrapper)\w{0,30}",
        OTHER_ATTENTION,
        "attention_backend",
        by_class=True,
    ),
    _subject(
        r"\b\w{0,60}(?:MoE|Moe|FusedExperts|Experts)\w{0,40}(?:Method|Experts|Runner|Kernel|Backend|PrepareAndFinalize)"
        r"\w{0,30}",
        OTHER_EXPERTS,
        "moe_backend",
        by_class=True,
    ),
    _subject(
        r"\b\w{0,40}(?:Eagle|Medusa|Draft|Speculat|DFlash|NextN|MTP)\w{0,40}|num_speculative_tokens|"
        r"\bnum_lookahead_slots",
        _NO_DRAFTER,
        "draft",
        "speculative",
        by_class=True,
    ),
    _subject(
        r"\b\w{0,40}(?:LinearMethod|LinearKernel|QuantConfig|ScaledMM\w{0,30}|MPLinear\w{0,30})\b|"
        r"\bCompressedTensors\w{1,30}",
        OTHER_QUANTISATION,
        "quantisation",
        by_class=True,
    ),
    _subject(
        r"\b\w{0,40}Pooler\w{0,30}\b|\bpooler\w{0,10}\b|\bpooling\b",
        by_hand("run it as what it is: `--runner pooling` for embeddings and rerankers, else leave --runner out"),
        "--runner",
        "--convert",
        by_class=True,
    ),
    _subject(
        r"prompt_lookup_m(?:in|ax)",
        by_hand("set prompt_lookup_min and prompt_lookup_max in speculative_config", "1 or more, the least first"),
        "prompt_lookup",
        by_class=True,
    ),
    _subject(
        r"(?i)all_?reduce|symm(?:etric)?_?mem|custom_ar\b|multicast|ipc_meta",
        NO_CUSTOM_REDUCE,
        "all-reduce",
    ),
    _subject(
        r"(?i)head.?dim|headdim|head.?size|head of size|flash.?attention|flash.?attn|flash.?infer|xformers|"
        r"\bmla\b|attention (?:backend|kernel|impl|sink|bias)|sliding.?window|attn_backend|alibi|logits.?soft.?cap",
        OTHER_ATTENTION,
        "attention_backend",
    ),
    _subject(
        r"(?i)moe\b|moe_|fused.?experts|grouped.?gemm|expert.?(?:weights|backend)|routing (?:method|bias)",
        OTHER_EXPERTS,
        "moe_backend",
        "moe_runner_backend",
    ),
    _subject(
        r"(?i)speculat|\bdraft|\beagle|\bmtp\b|lookahead|(?:\b|_)spec_(?:tok|dec|step|info|alg|conf)",
        _NO_DRAFTER,
        "draft",
        "speculative",
    ),
    _subject(r"(?i)cuda.?graph|captur(?:e|ing) ", EAGER, "enforce_eager", "graph"),
    _subject(r"(?i)torch\.?_?compile|inductor|dynamo|fake.?tensor|data.dependent", EAGER, "enforce_eager"),
    _subject(
        r"(?i)\bep_size|expert.?parallel|\bEP size",
        by_hand("without expert parallel: leave out enable_expert_parallel and ep_size", "or another number of ranks"),
        "expert_parallel",
        "ep_size",
    ),
    _subject(
        r"(?i)\bdp\b|dp_size|data.?parallel|dp.?attention|world_size times",
        by_hand("without data parallel: leave out data_parallel, dp and --enable-dp-attention"),
        "data_parallel",
        "dp-attention",
    ),
    _subject(
        r"(?i)quanti[sz]|\bfp8|nvfp4|mxfp|\bawq\b|gptq|marlin|\bint[48]\b|w[48]a(?:4|8|16)|weight_scale|input_scale|"
        r"group_?size|zero_?point|bitsandbytes|\bbnb\b|compressed.tensors",
        OTHER_QUANTISATION,
        "quantisation",
        "another checkpoint",
    ),
    _subject(
        r"(?i)\blora\b|\badapters?\b",
        by_hand("start without the adapter: enable_lora, lora_modules, lora_paths"),
        "adapter",
        "lora",
    ),
    _subject(
        r"(?i)\bvision\b|\bimages?\b|\baudio|\bvideo|multi.?modal|mm_processor|image_processor|feature.?extractor|"
        r"\bpixel",
        by_hand("serve text only: language_model_only, or limit_mm_per_prompt 0 for each kind"),
        "text only",
        "images",
    ),
    _subject(
        r"(?i)chat.?template|jinja",
        by_hand("leave out chat_template, or name one that is in the container"),
        "chat_template",
        "chat-template",
    ),
    _subject(
        r"(?i)tokenizer|sentencepiece|tiktoken",
        by_hand("set tokenizer to the repository of the original model", "where a quantised one has no good tokenizer"),
        "tokenizer",
    ),
    _subject(
        r"(?i)\brope\b|rope_|max_position_embeddings|position embedding|context length|yarn",
        by_hand("a shorter context, and no hf_overrides or rope settings of your own"),
        "hf_overrides",
        "context",
    ),
)
"""The names of classes first: they say more than words of a sentence."""


def by_words(
    words: str, have: tuple[Repair, ...], context: Context, *, only_classes: bool = False
) -> tuple[Repair, ...]:
    """What helps with the parts that words speak of, where no repair that is there already is about them."""
    found: list[Repair] = []
    if not only_classes:
        found += [*of_ranks(words, context), *_other_cache(words, have)]
    spoken_of = len(found)
    for subject in SUBJECTS:
        if spoken_of >= _MOST:
            break
        if (only_classes and not subject.by_class) or subject.words.search(words) is None:
            continue
        spoken_of += 1
        if _is_about(have, subject):
            # What comes behind in the words is only about this part.
            spoken_of = _MOST
        elif not _is_about(tuple(found), subject):
            found.append(subject.repair)
    return tuple(found)


def _is_about(repairs: tuple[Repair, ...], subject: Subject) -> bool:
    return any(name in f"{repair.title} {repair.key}" for repair in repairs for name in subject.names)


def _other_cache(words: str, have: tuple[Repair, ...]) -> tuple[Repair, ...]:
    """What helps where the words speak of the type of the KV cache."""
    if _OF_CACHE.search(words) is None or any("kv_cache_dtype" in f"{item.title} {item.key}" for item in have):
        return ()
    return (_OTHER_CACHE,)


def of_ranks(words: str, context: Context) -> tuple[Repair, ...]:
    """What helps where a size of the model does not divide over the ranks, unless there is only one."""
    ranks = context.whole("tensor_parallel")
    if _DIVIDES.search(words) is None or ranks == 1:
        return ()
    numbers = _NUMBER.findall(words) if _BY.search(words) is not None else []
    if str(ranks) in numbers or speaks_of_ranks(words) or _OF_PARTS.search(words) is not None:
        return (FEWER_RANKS,)
    return ()


def speaks_of_ranks(words: str) -> bool:
    """Whether words speak of the ranks over which a model is split."""
    return _OF_RANKS.search(words) is not None
