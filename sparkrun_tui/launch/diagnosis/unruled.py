"""What can be said of an exception that no rule describes: by its own words, and by the place where it was raised.

Nothing here guesses: the exception is quoted, and a title names only what it says itself or whose code raised it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.reading.patterns import LinePattern
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.logs.causes import Context, Repair, by_hand, set_env
from sparkrun_tui.launch.diagnosis.named import named_settings, names_a_flag
from sparkrun_tui.launch.diagnosis.places import (
    DRAFTING,
    EAGER,
    NEWER,
    NO_DRAFTER,
    OF_ENGINE,
    OF_MODEL,
    PLACES,
    UTILITIES,
    WEIGHTS,
    Place,
    is_running,
    where_it_was,
)
from sparkrun_tui.launch.diagnosis.subjects import FEWER_RANKS, by_words, of_ranks, speaks_of_ranks
from sparkrun_tui.launch.diagnosis.tracebacks import Raised

_QUOTED = 300
_NEAR = 8
"""How far above the last frame a place is searched: libraries raise for those that called them."""
_NEAR_WEIGHTS = 4


@dataclass(frozen=True, slots=True)
class Saying:
    """What is said of an exception."""

    title: str
    explanation: str
    repairs: tuple[Repair, ...]
    tells_below: bool = False
    """Whether the line below that says what went wrong belongs to it."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """Kernels that can be chosen or left out."""

    files: LinePattern
    setting: str
    """A part of the name of what chooses them."""
    repair: Repair


_REFUSALS = LinePattern(
    r"(?:is|are) not (?:yet )?(?:supported|compatible|allowed|available)|not (?:yet )?supported|[Uu]nsupported |"
    r"(?:does|do) ?n[o']t (?:yet )?support|incompatible|only supports? |(?:is|are) only (?:supported|valid|available)|"
    r"requires (?:SM|sm_?\d|compute capability|at least|a GPU|NVIDIA|CUDA|Hopper|Blackwell)|"
    r"cannot be (?:used|combined|set|specified|enabled)|can only be |mutually exclusive|"
    r"expects \w{1,60} to be |expected one of |"
    r"must (?:equal|match|be equal) |"
    r"must be (?:divisible|a multiple|greater|less|smaller|larger|set|one of|at least|at most|positive|specified)"
)
"""Words by which an engine refuses what it was asked for."""
_PLEASE = LinePattern(r"[Pp]lease (?:use|set|specify|provide|disable|enable|pass|remove|try|increase|reduce)\b")
"""Words by which an engine asks for a setting."""
_OLD = LinePattern(
    r"(?i)\b(?:upgrade|update) (?:to |your |the |of |python |version )*[`'\"]?[a-z]|"
    r"(?:please|try|by) (?:upgrad|updat)ing|newer version|requires? (?:a )?(?:newer|later) |"
    r"version (?:>=|at least|or (?:later|newer|higher))|or (?:later|newer|higher) (?:is|to)\b|available from v?\d|"
    r"(?:transformers|torch|triton|flashinfer|numpy|sglang|vllm|version)[ =`']{0,3}>=? ?v?\d"
)
"""Words by which a program asks for a newer one."""
_WITH_NEWER = by_hand("use a newer image", "the message asks for a newer version of a package than this image has")
_KERNELS = (
    Kernels(
        LinePattern(r"/batch_invariant"),
        "determin",
        by_hand(
            "leave out deterministic inference: --enable-deterministic-inference (SGLang), VLLM_BATCH_INVARIANT (vLLM)",
            "its own kernels failed",
        ),
    ),
    Kernels(
        LinePattern(r"/deep_gemm"),
        "DEEP_GEMM",
        set_env("VLLM_USE_DEEP_GEMM", "0", "other kernels are used"),
    ),
    Kernels(
        LinePattern(r"/layers/fused_moe/|/layers/moe/|/triton_kernels/"),
        "moe_",
        by_hand("another moe_backend (vLLM) or moe_runner_backend (SGLang)", "a kernel of the experts failed"),
    ),
)
"""What chooses other kernels, by the files of a traceback."""
_LAYS_OUT_CACHE = LinePattern(r"reshape_kv_cache|get_kv_cache_shape|initialize_kv_cache")
_OTHER_CACHE = by_hand("kv_cache_dtype auto, or another one", "the KV cache was being laid out")
_UNDONE = "NotImplementedError"
_RAISED_BY_CHECKS = frozenset(
    ("ValueError", _UNDONE, "AssertionError", "RuntimeError", "Exception", "ArgumentTypeError", "ArgumentError")
)
_RAISED_BY_SETTINGS = frozenset(("ValueError", _UNDONE, "ArgumentTypeError", "ArgumentError"))
"""Exceptions of checks that are about a setting where they name one; others speak of their own state, too."""
_ENGINE = LinePattern(r"/(?:vllm|sglang)/")
_SLIPS = frozenset(
    ("AttributeError", "TypeError", "IndexError", "NameError", "UnboundLocalError", "ZeroDivisionError", "KeyError")
)
"""Exceptions that are raised by a programming error, or by parts that do not fit together."""
_SPLIT = "The model's parts cannot be split over the ranks"
_OF_OTHERS = frozenset(
    (
        "ConnectionError",
        "ConnectionRefusedError",
        "ConnectionResetError",
        "ConnectionAbortedError",
        "BrokenPipeError",
        "EOFError",
        "TimeoutError",
        "ReadTimeout",
        "Timeout",
        "DistStoreError",
        "HTTPError",
    )
)
"""Exceptions that say that another process or host does not answer: whose code raised them says nothing."""
_PACKAGE = late_regex(r"/(?:site|dist)-packages/([A-Za-z][\w-]{0,60})/")
_SETTING = LinePattern(r"_|--|[A-Z]{3}|attention|quantisation|drafter|text only")
"""A part of the title of a repair that says what to change, rather than to take another image."""


def of_exception(raised: Raised, context: Context) -> Saying | None:
    """What can be said of an exception; None where it has neither telling words nor a telling place."""
    refused = raised.name in _RAISED_BY_CHECKS and _REFUSALS.search(raised.words) is not None
    named: tuple[Repair, ...] = ()
    if raised.name in _RAISED_BY_CHECKS:
        named = named_settings(raised.words, context, with_features=refused)
    words = shorten(raised.words, _QUOTED)
    is_asked = names_a_flag(raised.words) or _PLEASE.search(raised.words) is not None
    is_of_settings = refused or is_asked or raised.name in _RAISED_BY_SETTINGS
    if named and is_of_settings:
        return Saying("A setting does not fit", f"The engine refuses it: {words}", (*named, *_newer(raised.words)))
    place = _place_of(raised)
    if place is not None:
        return _at(place, raised, context)
    is_missing = raised.name == _UNDONE and raised.words != ""
    is_slip = raised.name in _SLIPS or (raised.name == "AssertionError" and raised.is_wordless)
    if is_slip and _is_of_engine(raised.files):
        why = f"Its own code failed with {raised.name}, which is a defect or a package of another version: {words}"
        changed = by_hand("leave out what the recipe adds", "mods, mounted files, flags that the model does not need")
        first = (*where_it_was(raised.functions), *by_words(_spoken(raised), (), context))
        title = _SPLIT if _is_split(first, raised) else "This version of the engine cannot do this"
        return Saying(title, why, (*first, NEWER, changed))
    if refused or is_missing:
        without = by_hand("leave out or change what the message names", "or use an image that supports it")
        first = (*by_words(_spoken(raised), (), context), *where_it_was(raised.functions))
        title = _SPLIT if _is_split(first, raised) else "The engine does not support this"
        return Saying(title, f"It says: {words}", (*first, without, NEWER))
    if _is_of_engine(raised.files) and raised.name not in _OF_OTHERS:
        return _at(OF_ENGINE, raised, context)
    if _newer(raised.words):
        return Saying("A package of the image is too old", f"It says: {words}", (_WITH_NEWER,), tells_below=True)
    return _of_package(raised, context)


def _at(place: Place, raised: Raised, context: Context) -> Saying:
    """What is said of an exception out of a place."""
    why = f"{place.why} ({raised.name}): {shorten(raised.words, _QUOTED)}"
    asked = _newer(raised.words)
    rest = tuple(repair for repair in place.repairs if not (asked and repair is NEWER))
    if place.runs_nothing or place is WEIGHTS:
        first = of_ranks(_spoken(raised), context)
    else:
        first = (*by_words(_spoken(raised), rest, context), *where_it_was(raised.functions))
    repairs = (*asked, *first, *rest)
    if place is OF_MODEL and is_running(raised.functions):
        repairs = (*repairs, EAGER)
    if place is DRAFTING or place is OF_MODEL:
        repairs = (*repairs, *_of_kernels(repairs, raised.files))
    title = _SPLIT if place is OF_MODEL and _is_split(first, raised) else place.title
    return Saying(title, why, _once(repairs), tells_below=True)


def _is_split(first: Sequence[Repair], raised: Raised) -> bool:
    """Whether an exception says that the model's parts do not divide over the ranks."""
    return FEWER_RANKS in first and speaks_of_ranks(_spoken(raised))


def _spoken(raised: Raised) -> str:
    """The words of an exception, or the line of code that raised it, without the name of its file."""
    if raised.is_wordless:
        return raised.words.rpartition(" (")[0]
    return raised.words


def _newer(words: str) -> tuple[Repair, ...]:
    """A newer image where the words ask for a newer package."""
    return (_WITH_NEWER,) if _OLD.search(words) is not None else ()


def _of_package(raised: Raised, context: Context) -> Saying | None:
    """What is said of an exception out of a package that is none of the engine's."""
    if raised.name in _OF_OTHERS:
        return None
    for file in _nearest(raised.files):
        if UTILITIES.search(file) is not None:
            continue
        match = _PACKAGE.search(file)
        if match is None or _ENGINE.search(file) is not None:
            return None
        name = shorten(match[1], 60)
        why = f"{name} failed ({raised.name}): {shorten(raised.words, _QUOTED)}"
        changed = by_hand("leave out what the recipe adds for it", "a mod, a plugin, a setting that needs this package")
        repairs = (*by_words(_spoken(raised), (), context), NEWER, changed)
        return Saying(f"The package {name} of the image failed", why, repairs, tells_below=True)
    return None


def beside_the_words(repairs: tuple[Repair, ...], raised: Raised, context: Context) -> tuple[Repair, ...]:
    """The repairs of a general rule; where none says what to change, what words and place add before them."""
    if any(_changes_a_setting(repair) for repair in repairs):
        return repairs
    if _loads_weights(raised):
        return repairs
    more = [*by_words(_spoken(raised), repairs, context), *where_it_was(raised.functions)]
    place = _place_of(raised)
    if not more and place is not None and place is not OF_MODEL:
        more = [repair for repair in place.repairs if _changes_a_setting(repair)][:1]
    return _once((*more, *repairs))


def with_classes(repairs: tuple[Repair, ...], raised: Raised, context: Context) -> tuple[Repair, ...]:
    """The repairs of a rule, and what chooses another class than the one that the words name."""
    return _once((*repairs, *by_words(_spoken(raised), repairs, context, only_classes=True)))


def beside_the_cache(repairs: tuple[Repair, ...], functions: Sequence[str]) -> tuple[Repair, ...]:
    """The repairs of a rule, and another type of the KV cache where it was being laid out."""
    if not any(_LAYS_OUT_CACHE.search(name) is not None for name in functions[-_NEAR:]):
        return repairs
    if _mention(repairs, "kv_cache_dtype"):
        return repairs
    return (*repairs, _OTHER_CACHE)


def before_other_kernels(repairs: tuple[Repair, ...], files: Sequence[str]) -> tuple[Repair, ...]:
    """The repairs of a rule that has other kernels chosen, after the one for the kernels that had failed."""
    if not _mention(repairs, "_backend"):
        return repairs
    return (*_of_kernels(repairs, files), *repairs)


def _of_kernels(repairs: tuple[Repair, ...], files: Sequence[str]) -> tuple[Repair, ...]:
    """What chooses other kernels than those that a traceback came through, unless the repairs have it."""
    for kernels in _KERNELS:
        if any(kernels.files.search(file) is not None for file in files[-_NEAR:]):
            return () if _mention(repairs, kernels.setting) else (kernels.repair,)
    return ()


def beside_the_drafter(repairs: tuple[Repair, ...], files: Sequence[str]) -> tuple[Repair, ...]:
    """The repairs of a rule, and to leave the drafter out where its code had called what failed."""
    if not _is_of_drafter(files):
        return repairs
    if _mention(repairs, "draft"):
        return repairs
    return (*repairs, NO_DRAFTER)


def _place_of(raised: Raised) -> Place | None:
    """The place of the last frame that is not of a library that everything calls; the drafter's before all others."""
    if _is_of_drafter(raised.files):
        return DRAFTING
    if _loads_weights(raised):
        return WEIGHTS
    is_checked = raised.name in _RAISED_BY_CHECKS
    for file in _nearest(raised.files):
        for place in PLACES:
            if place.files.search(file) is not None and (is_checked or not place.by_checks):
                return place
        if is_checked and not raised.is_wordless and OF_MODEL.files.search(file) is not None:
            return OF_MODEL
        if UTILITIES.search(file) is None:
            return None
    return None


def _is_of_engine(files: Sequence[str]) -> bool:
    """Whether an exception was raised by the engine's own code."""
    for file in _nearest(files):
        if UTILITIES.search(file) is None:
            return _ENGINE.search(file) is not None
    return False


def _is_of_drafter(files: Sequence[str]) -> bool:
    """Whether a traceback came through the code of a drafter."""
    return any(DRAFTING.files.search(file) is not None for file in files)


def _loads_weights(raised: Raised) -> bool:
    """Whether weights were being loaded where an exception was raised."""
    return any(WEIGHTS.files.search(name) is not None for name in raised.functions[-_NEAR_WEIGHTS:])


def _nearest(files: Sequence[str]) -> Sequence[str]:
    """The files of the last frames, the last first."""
    return files[::-1][:_NEAR]


def _changes_a_setting(repair: Repair) -> bool:
    """Whether a repair says what to change, rather than to take another image."""
    return repair.key != "" or _SETTING.search(repair.title) is not None


def _mention(repairs: Sequence[Repair], word: str) -> bool:
    """Whether one of the repairs has a word in its title or changes a setting of such a name."""
    return any(word in f"{repair.title} {repair.key}" for repair in repairs)


def _once(repairs: Sequence[Repair]) -> tuple[Repair, ...]:
    """Repairs without a second one of the same title."""
    found: dict[str, Repair] = {}
    for repair in repairs:
        found.setdefault(repair.title, repair)
    return tuple(found.values())
