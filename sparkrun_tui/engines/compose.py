"""Makes a recipe of a service in a Docker Compose file that runs an engine, and says what cannot be carried over.

Compose has no notion of a model or of several hosts: the model is read from the engine's arguments, the port from what
the service publishes, and a mounted cache is left out since every container gets the host's cache anyway. Secrets are
never copied: they become variables of the workstation.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import RecipeError, UsageError
from sparkrun_tui.base.reading.identifiers import port as port_number
from sparkrun_tui.base.reading.identifiers import variable_name
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import LONG, Redactor, flag_gives_secret, holds_password, looks_secret
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.engines.command.arguments import Arguments, Given, is_flag, read_arguments
from sparkrun_tui.engines.command.shell_edit import Splice, find_serve, splice
from sparkrun_tui.engines.dumps import load_flags
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.registry import FAMILIES
from sparkrun_tui.recipe.format.export import yaml_scalar
from sparkrun_tui.recipe.format.yamltree import parse_tree, plain
from sparkrun_tui.recipe.model import Value
from sparkrun_tui.recipe.names.local_model import CACHE_TARGETS
from sparkrun_tui.recipe.names.mounts import is_below
from sparkrun_tui.recipe.suggestions import did_you_mean, listed
from sparkrun_tui.recipe.values.environment import references
from sparkrun_tui.recipe.values.masking import gives_secret, names_file
from sparkrun_tui.recipe.values.shell_scanner import Word
from sparkrun_tui.recipe.values.shellwords import is_shell_call

_VARIABLE = late_regex(r"\$\$|\$\{([A-Za-z_]\w*)(?:(:?[-?+])([^{}]*))?\}|\$([A-Za-z_]\w*)", re.ASCII)
_MARK = late_regex("\ue000([A-Za-z_][A-Za-z0-9_]*)\ue001")
"""A variable of the workstation within a word of the command, until the word is quoted."""
_PLACEHOLDER = late_regex(r"\{[a-z_][a-z0-9_]*\}")
_MODEL_FLAGS = ("--model", "--model-path", "-m")
_PROGRAMS = frozenset(["bash", "sh", "python", "python3", "env", "exec", "sleep", "tail", "tini", "dumb-init"])
_SCRIPTS = (".sh", ".bash", ".py")
_OWN_CACHE = "--download-dir"
_NAMED_VOLUME = late_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SET_HERE = frozenset({
    "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER",
    "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE",
})  # fmt: skip
"""Variables that the launch decides: the GPUs of a container, and where its cache is."""
_VALUES = (
    "host", "port", "tensor_parallel", "pipeline_parallel", "gpu_memory_utilization", "max_model_len", "ctx_size",
    "served_model_name", "max_num_seqs",
)  # fmt: skip
"""The keys whose values become defaults of the recipe, for its form and for `-o`."""
_UNNEEDED = frozenset({
    "image", "command", "entrypoint", "environment", "ports", "volumes", "container_name", "hostname", "restart",
    "runtime", "gpus", "ipc", "shm_size", "network_mode", "stdin_open", "tty", "pull_policy", "expose", "deploy",
    "platform", "init", "labels", "logging", "stop_grace_period", "profiles", "ulimits", "user", "privileged",
    "cap_add", "devices", "healthcheck", "build",
})  # fmt: skip
"""Keys of a service that are carried over, or that a launch here has of itself."""


_MADE_KEYS = frozenset({
    "model", "runtime", "container", "max_nodes", "defaults", "env", "executor_config", "command",
})  # fmt: skip
"""The keys of a recipe that is made here."""


@dataclass(frozen=True, slots=True)
class Converted:
    """The text of a recipe made of a service, and what a person must know of it."""

    service: str
    text: str
    notes: tuple[str, ...]


def is_compose(data: object) -> bool:
    """Whether a file's data is a Compose file: a mapping of services, each with an image or a build."""
    services = data.get("services") if isinstance(data, Mapping) else None
    if not isinstance(services, Mapping):
        return False
    return any(isinstance(body, Mapping) and {"image", "build", "extends"} & body.keys() for body in services.values())


def converted(text: str, path: str, wanted: str = "") -> Converted:
    """The recipe of a service in a Compose file; `wanted` names one where several run engines.

    Raises `RecipeError` for a file that is none or that runs no engine, `UsageError` when the service must be named.
    """
    data = plain(parse_tree(text, path))
    if not is_compose(data):
        raise RecipeError(f"{path} is not a Compose file: it has no `services` with an image")
    services = {str(name): body for name, body in data["services"].items() if isinstance(body, Mapping)}
    name, family = _chosen(services, path, wanted)
    work = _Service(family, services[name], os.path.dirname(os.path.abspath(path)))
    lines = [f"# Made from the service `{clean_line(name)}` of {clean_line(os.path.basename(path))}.", *work.lines()]
    made = "\n".join(lines) + "\n"
    _insist_on_keys(made, path)
    others = [other for other in services if other != name]
    if others:
        work.note(f"other services of the file are not carried over: {listed(others, 'and')}")
    # A default that a note repeats may be a secret.
    notes = map(Redactor(work.secrets), work.notes)
    return Converted(name, made, tuple(dict.fromkeys(notes)))


def _insist_on_keys(made: str, path: str) -> None:
    """Raise `RecipeError` where a value of the file has become something else than a value in the recipe."""
    data = plain(parse_tree(made, path))
    strange = sorted(data.keys() - _MADE_KEYS) if isinstance(data, dict) else ["no mapping"]
    if strange:
        raise RecipeError(f"no recipe can be made of {path}: a value of it would be read as {listed(strange, 'and')}")


def _chosen(services: Mapping[str, Mapping[str, Any]], path: str, wanted: str) -> tuple[str, Family]:
    """The service to convert, and its engine."""
    engines = {}
    for name, body in services.items():
        family = _family(body)
        if family is not None:
            engines[name] = family
    if wanted:
        if wanted not in services:
            hint = did_you_mean(wanted, services) or f"it has {listed(services, 'and')}"
            raise UsageError(f"{path} has no service `{wanted}`", remedy=hint)
        if wanted not in engines:
            raise RecipeError(f"the service `{wanted}` runs no engine that is known here")
        return wanted, engines[wanted]
    if not engines:
        titles = listed((family.title for family in FAMILIES.values()), "or")
        raise RecipeError(f"no service of {path} runs {titles}")
    if len(engines) > 1:
        raise UsageError(f"several services of {path} run an engine", remedy=f"name {listed(engines)} with --service")
    return next(iter(engines.items()))


def _family(body: Mapping[str, Any]) -> Family | None:
    """The engine that a service runs, by the words of its command, else by the name of its image."""
    entry, given = _words(body.get("entrypoint")), _words(body.get("command"))
    words = [*entry, *given]
    text = " ".join(words)
    for family in FAMILIES.values():
        if family.dialect.starts(words) or family.dialect.starts(given):
            return family
        try:
            if find_serve(text, family.dialect.starts) is not None:
                return family
        except ValueError:
            # A script that is no shell is not one that starts an engine here.
            continue
    if _runs_a_program((given or entry or [""])[0]):
        # The image is the engine's, and what it runs is a script of its own.
        return None
    image = str(body.get("image") or "").lower()
    for family in FAMILIES.values():
        if re.search(family.image_words, image.rpartition("@")[0] or image):
            return family
    return None


def _runs_a_program(word: str) -> bool:
    """Whether the first word of a command runs a program or a script, so that it is no model."""
    name = word.rpartition("/")[2]
    return name in _PROGRAMS or name.endswith(_SCRIPTS)


def _words(value: object) -> list[str]:
    """The words of an entrypoint or a command: a list, or a text that Compose splits as a shell does."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [_text(item) for item in value]
    try:
        return shlex.split(_text(value), comments=False)
    except ValueError:
        return _text(value).split()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


@dataclass(slots=True)
class _Mount:
    source: str
    target: str
    read_only: bool = False


@dataclass(slots=True)
class _Service:
    """One service while its recipe is made."""

    family: Family
    body: Mapping[str, Any]
    folder: str
    notes: list[str] = field(default_factory=list)
    needed: dict[str, None] = field(default_factory=dict)
    """Variables without a value that the recipe takes as overrides, by their keys."""
    env: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    as_arguments: set[str] = field(default_factory=set)
    """Variables that have become arguments of the command."""
    model: str = ""
    secrets: list[str] = field(default_factory=list)
    """The values that are not copied."""

    def note(self, text: str) -> None:
        """Something that a person must know."""
        self.notes.append(clean_line(text))

    def lines(self) -> Iterator[str]:
        """The lines of the recipe."""
        image = self._image()
        mounts = list(self._mounts())
        command = self._command(mounts)
        self._environment()
        self._devices()
        self._strange()
        options = list(self._options(mounts))
        shown = "\n".join([command, self.model, *options])
        for key in self.needed:
            if f"{{{key}}}" not in shown:
                # It was for something that is not carried over.
                continue
            self.note(f"`{{{key}}}` has no value in the file: give it with -o {key}=VALUE, or write it into `defaults`")
        if not self.model:
            self.note("no model is named in the file: fill in `model`")
        yield f"model: {_scalar(self.model or 'OWNER/NAME')}"
        yield f"runtime: {self.family.name}"
        yield f"container: {_scalar(image or 'REGISTRY/IMAGE:TAG')}"
        if self.family.starter.one_host:
            yield "max_nodes: 1"
        if self.defaults:
            yield ""
            yield "defaults:"
            for key, text in self.defaults.items():
                yield f"  {key}: {_typed(text)}"
        if self.env:
            yield ""
            yield "env:"
            for name, text in self.env.items():
                yield f"  {name}: {_quoted(text)}"
        if options:
            yield ""
            yield "executor_config:"
            yield from (f"  {line}" for line in options)
        yield ""
        yield from _block("command", command.strip())

    def _image(self) -> str:
        """The image; empty where Compose builds it, or where its name has a variable without a value."""
        written = _text(self.body.get("image"))
        image = self._filled(written)
        if not written:
            self.note("the image is built by Compose (`build`): name the finished image as `container`")
        elif "{" in image or _MARK.search(image):
            self.note(f"the image `{written}` has a variable without a value: write the image as `container`")
            return ""
        return image

    # Variables.

    def _filled(self, text: str) -> str:
        """A text with Compose's variables filled in: by their default, else as a placeholder; secrets as marks."""

        def value(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            name = match[1] or match[4]
            kind, rest = match[2] or "", match[3] or ""
            if kind.endswith("+"):
                return ""
            if name == "HOME":
                return "~"
            if looks_secret(name):
                self.env.setdefault(name, f"${{{name}}}")
                return f"\ue000{name}\ue001"
            if kind.endswith("-") and rest:
                self.note(f"${{{name}}} is its default, `{rest}`; values of an .env file are not read")
                return rest
            if kind.endswith("-"):
                return ""
            key = name.lower()
            self.needed[key] = None
            return f"{{{key}}}"

        return _VARIABLE.sub(value, text)

    # The command.

    def _command(self, mounts: Sequence[_Mount]) -> str:
        """The command of the recipe; fills the model and the defaults."""
        entry = [self._filled(word) for word in _words(self.body.get("entrypoint"))]
        given = [self._filled(word) for word in _words(self.body.get("command"))]
        words = [*entry, *given]
        for at, word in enumerate(words[:4]):
            if at + 2 < len(words) and is_shell_call(word, words[at + 1]):
                return self._script(words[at + 2], mounts)
        dialect = self.family.dialect
        first = dialect.first_argument(words)
        if first is None and entry and dialect.first_argument(given) is None:
            self.note(f"the entrypoint `{' '.join(entry)[:80]}` is not carried over")
            words = given
        elif first is None:
            words = given
            first = dialect.first_argument(words)
        if first is None:
            # The image's entrypoint may be the program alone: `serve` is then no model.
            started = [*self.family.start[:1], *words]
            if dialect.first_argument(started) is not None:
                words = started
                first = dialect.first_argument(words)
        if first is not None:
            # However it is started: the usual way takes the same arguments.
            words = words[first:]
        words = [*words, *self._from_variables(words)]
        rest = self._arguments(read_arguments(words, self.family), mounts)
        return " \\\n    ".join([self._start(), *rest])

    def _from_variables(self, words: Sequence[str]) -> list[str]:
        """Arguments that the service gives by variables, where the command does not give them."""
        prefix = self.family.argument_prefix
        if not prefix:
            return []
        flags = load_flags(self.family).by_spelling
        given = {entry.flag for entry in read_arguments(words, self.family).given}
        found = []
        for name, value in self._pairs():
            if not name.startswith(prefix) or value is None:
                continue
            spelling = "--" + name.removeprefix(prefix).lower().replace("_", "-")
            flag = flags.get(spelling)
            is_argument = flag is not None and flag.kind == "value" and not gives_secret(name, value)
            if not is_argument:
                continue
            self.as_arguments.add(name)
            if flag not in given:
                found += [spelling, self._filled(value)]
        return found

    def _pairs(self) -> list[tuple[str, str | None]]:
        """The variables of the service with their values, None where the value is that of the workstation."""
        given = self.body.get("environment")
        if isinstance(given, Mapping):
            return [(str(name), None if value is None else _text(value)) for name, value in given.items()]
        pairs: list[tuple[str, str | None]] = []
        for item in _items(given):
            name, equals, text = _text(item).partition("=")
            pairs.append((name, text if equals else None))
        return pairs

    @property
    def _is_flagless(self) -> bool:
        """Whether the engine takes its model as a word of its own, behind the words that start it."""
        return not is_flag(self.family.start[-1])

    def _start(self) -> str:
        """The first line: the words that start the server, and the model where it is a word of its own."""
        own = list(self.family.start) if self._is_flagless else list(self.family.start[:-1])
        line = self._joined(own)
        return f"{line} {{model}}" if self._is_flagless else line

    def _arguments(self, arguments: Arguments, mounts: Sequence[_Mount]) -> list[str]:
        lines: list[str] = []
        flags = self.family.flags
        loose = list(arguments.loose)
        if self._is_flagless and loose:
            self.model = self._on_host(loose.pop(0), mounts)
        for entry in arguments.given:
            key = entry.row.key if entry.row is not None else ""
            if entry.flag is not None and _OWN_CACHE in entry.flag.spellings:
                self.note(f"{entry.word} is left out: models are fetched into the host's Hugging Face cache")
                continue
            if self._gives_model(entry):
                self.model = self._on_host(entry.values[0], mounts)
                if not self._is_flagless:
                    lines.append(f"{entry.word} {{model}}")
                continue
            if key in _VALUES and len(entry.values) == 1 and not entry.nested and not _MARK.search(entry.values[0]):
                self._default(key, entry.values[0])
                lines.append(f"{entry.word} {{{key}}}")
                continue
            lines.append(self._line(entry))
        if loose:
            lines.append(self._joined(loose))
        if not self._is_flagless and not self.model:
            lines.insert(0, f"{self.family.start[-1]} {{model}}")
        self._address(lines, flags.spelling_for("host"), flags.spelling_for("port"))
        return lines

    def _gives_model(self, entry: Given) -> bool:
        """Whether a flag names the model, in any of its spellings."""
        if not entry.values:
            return False
        if entry.row is not None and entry.row.key == "model":
            return True
        known = load_flags(self.family).by_spelling
        for spelling in (self.family.start[-1], self.family.dialect.model_flag, *_MODEL_FLAGS):
            if entry.word == spelling or (entry.flag is not None and entry.flag is known.get(spelling)):
                return True
        return False

    def _default(self, key: str, text: str) -> None:
        placeholder = _PLACEHOLDER.fullmatch(text)
        if placeholder is None:
            self.defaults[key] = text
            return
        # The variable of Compose becomes the key itself.
        self.needed.pop(text[1:-1], None)
        self.needed[key] = None

    def _line(self, entry: Given) -> str:
        """A flag with its values; a secret in clear becomes a variable."""
        values = []
        name, equals, attached = entry.word.partition("=")
        if equals and self._is_secret(name, attached):
            # An engine that takes no values behind an equals sign: what is meant is clear all the same.
            return self._joined([f"{name}=\ue000{self._secret(name, attached)}\ue001"])
        for value in entry.values:
            if self._is_secret(entry.word, value):
                value = f"\ue000{self._secret(entry.word, value)}\ue001"
            values.append(value)
        if entry.attached and entry.values:
            return self._joined([f"{entry.word}={values[0]}"])
        return self._joined([entry.word, *values])

    def _is_secret(self, flag: str, value: str) -> bool:
        """Whether a flag as written, also one that is abbreviated, gives a secret in clear."""
        if not value or _MARK.search(value) or _PLACEHOLDER.fullmatch(value):
            return False
        name = flag.lstrip("-")
        return gives_secret(name, value) or (flag_gives_secret(flag) and not names_file(name))

    def _secret(self, flag: str, value: str) -> str:
        """The variable that takes the place of a secret in clear."""
        variable = re.sub(r"[^A-Z0-9]+", "_", flag.lstrip("-").upper()).strip("_")
        self.env.setdefault(variable, f"${{{variable}}}")
        self.secrets.append(value)
        self.note(f"the value of {flag} is a secret and was not copied: set {variable} before a launch")
        return variable

    def _script(self, script: str, mounts: Sequence[_Mount]) -> str:
        """A shell script as the command: the model, the port and the address in it become placeholders."""
        try:
            words = find_serve(script, self.family.dialect.starts)
        except ValueError:
            raise RecipeError("the service's command is not valid shell, so no recipe can be made of it") from None
        if words is None:
            raise RecipeError("the service's command does not start the engine in a way that is known here")
        texts = [word.text for word in words]
        # Values are found by their flag: two flags may have the same value, and one may be given twice.
        places: dict[tuple[str, str], list[Word]] = defaultdict(list)
        for flag, word in pairwise(words):
            places[flag.text, word.text].append(word)
        changes: dict[Word, str] = {}
        first = self.family.dialect.first_argument(texts) or 0
        if self._is_flagless and first < len(words) and not is_flag(texts[first]):
            self.model = self._on_host(texts[first], mounts)
            changes[words[first]] = "{model}"
        for attached in words:
            flag_word, equals, value = attached.text.partition("=")
            if equals and is_flag(flag_word) and self._is_secret(flag_word, value):
                changes[attached] = f'{flag_word}="${{{self._secret(flag_word, value)}}}"'
        for entry in read_arguments(texts, self.family).given:
            key = entry.row.key if entry.row is not None else ""
            if entry.attached or len(entry.values) != 1:
                continue
            value = entry.values[0]
            if self._gives_model(entry):
                self.model = self._on_host(value, mounts)
                instead = "{model}"
            elif key in ("port", "host"):
                self._default(key, value)
                instead = f"{{{key}}}"
            elif self._is_secret(entry.word, value):
                instead = f'"${{{self._secret(entry.word, value)}}}"'
            else:
                continue
            # A flag may be repeated with the same value: its words are found by the first of them.
            for word in places.pop((entry.word, value), ()):
                changes[word] = instead
        lines: list[str] = []
        self._address(lines, "", "")
        text = splice(script, [Splice(word.start, word.end, instead) for word, instead in changes.items()])
        return _MARK.sub(lambda match: f"${{{match[1]}}}", text)

    def _joined(self, words: Sequence[str]) -> str:
        """Words for a shell: marks become references to variables, placeholders stay as they are."""
        shown = []
        for word in words:
            if _PLACEHOLDER.fullmatch(word):
                shown.append(word)
            elif _MARK.search(word):
                parts = []
                at = 0
                for match in _MARK.finditer(word):
                    if word[at : match.start()]:
                        parts.append(str(shell.word(word[at : match.start()])))
                    parts.append(f'"${{{match[1]}}}"')
                    at = match.end()
                if word[at:]:
                    parts.append(str(shell.word(word[at:])))
                shown.append("".join(parts))
            else:
                shown.append(str(shell.word(word)))
        return " ".join(shown)

    def _address(self, lines: list[str], host_flag: str, port_flag: str) -> None:
        """The port that the service publishes, and its flags where the command lacks them."""
        inside = self.defaults.get("port", "")
        published, address = self._published(inside)
        if published and published != inside:
            if inside:
                self.note(
                    f"port {inside} of the container is published as {published}: the engine listens there itself"
                )
            self.defaults["port"] = published
        bound = self.defaults.get("host", "0.0.0.0")
        if address not in ("", "0.0.0.0", "::"):
            bound = address
        self.defaults["host"] = bound
        self.needed.pop("host", None)
        if not self.defaults.get("port") and "port" not in self.needed:
            self.defaults["port"] = "8000"
            self.note("no port is published: 8000 is used, on all addresses of the head node")
        texts = " ".join(lines)
        if host_flag and "{host}" not in texts:
            lines.append(f"{host_flag} {{host}}")
        if port_flag and "{port}" not in texts:
            lines.append(f"{port_flag} {{port}}")
        order = {key: self.defaults[key] for key in _VALUES if key in self.defaults}
        self.defaults.clear()
        self.defaults.update(order)

    def _published(self, inside: str) -> tuple[str, str]:
        """The published port that leads to the engine's, and its address; empty where none is published."""
        found: list[tuple[str, str, str]] = []
        for item in _items(self.body.get("ports")):
            if isinstance(item, Mapping):
                target = self._filled(_text(item.get("target")))
                published = self._filled(_text(item.get("published"))) or target
                found.append((target, published, self._filled(_text(item.get("host_ip")))))
                continue
            text = self._filled(_text(item)).partition("/")[0]
            address, _, rest = text.rpartition("]:") if text.startswith("[") else ("", "", text)
            parts = rest.split(":")
            if len(parts) == 3:
                address, parts = parts[0], parts[1:]
            found.append((parts[-1], parts[0], address.lstrip("[")))
        if not found:
            return "", ""
        chosen = found[0]
        for entry in found:
            if entry[0] == inside:
                chosen = entry
                break
        if len(found) > 1:
            self.note(f"of {len(found)} published ports only {chosen[1]} is carried over")
        if _PLACEHOLDER.fullmatch(chosen[1]):
            self.needed.pop(chosen[1][1:-1], None)
            if inside:
                self.note(f"the published port is a variable without a value: {inside} is used")
            else:
                self.needed["port"] = None
            return "", chosen[2]
        if port_number(chosen[1]) is None:
            self.note(f"the published port `{chosen[1]}` is not one port")
            return "", chosen[2]
        return chosen[1], chosen[2]

    # Volumes.

    def _mounts(self) -> Iterator[_Mount]:
        for item in _items(self.body.get("volumes")):
            if isinstance(item, Mapping):
                source = self._filled(_text(item.get("source")))
                target = self._filled(_text(item.get("target")))
                if item.get("type") == "tmpfs":
                    continue
                yield _Mount(source, target, item.get("read_only") is True)
                continue
            parts = self._filled(_text(item)).split(":")
            if len(parts) < 2:
                continue
            yield _Mount(parts[0], parts[1], len(parts) > 2 and "ro" in parts[2].split(","))

    def _on_host(self, model: str, mounts: Sequence[_Mount]) -> str:
        """A model as the recipe names it: a path of the container becomes that of the host that is mounted there."""
        if not model.startswith("/"):
            return _MARK.sub(lambda match: f"{{{match[1].lower()}}}", model)
        for mount in mounts:
            target = mount.target.rstrip("/")
            if model != target and not model.startswith(f"{target}/"):
                continue
            source = mount.source
            if source.startswith("."):
                source = os.path.normpath(os.path.join(self.folder, source))
                self.note(f"{mount.source} lies beside the file: the model must be at {source} on each host")
            if source.startswith(("/", "~")):
                return str(PurePosixPath(source) / model[len(target) :].lstrip("/"))
            self.note(f"the model is in the volume `{source}` of Compose: write the folder of the hosts into `model`")
        return model

    def _options(self, mounts: Sequence[_Mount]) -> Iterator[str]:
        """The lines of `executor_config`."""
        body = self.body
        if body.get("shm_size"):
            yield f"shm_size: {_scalar(self._filled(_text(body['shm_size'])))}"
        if body.get("user"):
            yield f"user: {_scalar(self._filled(_text(body['user'])))}"
        if body.get("privileged") is True:
            yield "privileged: true"
        capabilities = [_text(item) for item in _items(body.get("cap_add"))]
        if capabilities:
            yield f"cap_add: [{', '.join(map(_scalar, capabilities))}]"
        devices = []
        for item in _items(body.get("devices")):
            name = self._filled(_text(item))
            if "nvidia" not in name:
                devices.append(name)
        if devices:
            yield f"devices: [{', '.join(map(_quoted, devices))}]"
        volumes = list(self._volumes(mounts))
        if volumes:
            yield "volumes:"
            yield from (f"  - {_quoted(volume)}" for volume in volumes)

    def _volumes(self, mounts: Sequence[_Mount]) -> Iterator[str]:
        for mount in mounts:
            kept = self._kept(mount.target)
            if kept:
                self.note(f"the volume at {mount.target} is left out: {kept}")
                continue
            is_of_model = self.model and mount.source and self.model.startswith(mount.source.rstrip("/"))
            if is_of_model:
                # A model that is a path is mounted by the launch itself.
                continue
            is_carried = mount.source.startswith(("/", "~/")) or _NAMED_VOLUME.fullmatch(mount.source)
            if not is_carried or _MARK.search(mount.source) or "{" in mount.source:
                self.note(f"the volume {mount.source or '(without a name)'} at {mount.target} is not carried over")
                continue
            yield f"{mount.source}:{mount.target}{':ro' if mount.read_only else ''}"

    def _kept(self, target: str) -> str:
        """Why a volume need not be carried over, where a launch keeps the folder of itself; else empty."""
        target = target.rstrip("/")
        if "huggingface" in target or any(is_below(cache, [target]) for cache in CACHE_TARGETS):
            return "containers get the host's Hugging Face cache"
        if any(is_below(target, [cache]) for cache in self.family.caches.values()):
            return "a launch keeps this cache of the engine on each host"
        return ""

    # The rest.

    def _environment(self) -> None:
        for name, value in self._pairs():
            if name in _SET_HERE or name in self.as_arguments or (looks_secret(name) and value == ""):
                continue
            if variable_name(name) is None:
                self.note(f"`{shorten(name, 60)}` is not a name for a variable and is left out")
                continue
            filled = self._variable(name, value)
            if value is not None and "$$" in value and set(references(filled)) - set(_variables_in(value)):
                self.note(f"`{name}` holds a `$` that a recipe would read as a variable: it is left out")
                continue
            self.env[name] = filled
        if self.body.get("env_file"):
            self.note("the variables of `env_file` are not read: write those that the engine needs into `env`")

    def _variable(self, name: str, value: str | None) -> str:
        """The value of a variable in `env`; a secret in clear, and one without a value, is asked of the workstation."""
        if value is None:
            return f"${{{name}}}"
        only = _VARIABLE.fullmatch(value)
        if only is not None and only[0] != "$$":
            inner, kind, rest = only[1] or only[4], only[2] or "", only[3] or ""
            if kind.endswith("-") and not looks_secret(inner) and not looks_secret(name):
                return rest
            return f"${{{inner}}}"
        in_clear = _VARIABLE.sub("", value)
        least = LONG if in_clear != value else 1
        # Beside a variable a short text is rather a word such as `Bearer`.
        is_secret = looks_secret(name) and len(in_clear.strip()) >= least
        if is_secret or holds_password(value):
            self.secrets.append(in_clear.strip())
            self.note(f"the value of {name} is a secret and was not copied: set {name} before a launch")
            return f"${{{name}}}"

        def fill(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            kind, rest = match[2] or "", match[3] or ""
            if kind.endswith("-") and rest:
                return rest
            return f"${{{match[1] or match[4]}}}"

        return _VARIABLE.sub(fill, value)

    def _devices(self) -> None:
        """A note on GPUs that the service reserves by number: here a launch decides it by its parallel sizes."""
        deploy = self.body.get("deploy")
        resources = deploy.get("resources") if isinstance(deploy, Mapping) else None
        reserved = resources.get("reservations") if isinstance(resources, Mapping) else None
        devices = reserved.get("devices") if isinstance(reserved, Mapping) else None
        for device in _items(devices):
            if not isinstance(device, Mapping):
                continue
            count = _text(device.get("count"))
            chosen = _items(device.get("device_ids"))
            if chosen:
                self.note(
                    f"the service is for the GPUs {', '.join(map(_text, chosen))}: here all GPUs of a host are used"
                )
            elif count not in ("", "all", "1", "-1"):
                self.note(
                    f"{count} GPUs are reserved: `tensor_parallel` and the cluster's `gpus_per_host` decide that here"
                )
        if isinstance(deploy, Mapping) and _text(deploy.get("replicas")) not in ("", "1"):
            self.note("`replicas` is not carried over: a recipe is one server")
        if isinstance(resources, Mapping) and resources.get("limits"):
            self.note("limits of memory and processors are not carried over")

    def _strange(self) -> None:
        """A note on each key of the service that nothing was made of."""
        left = sorted(str(key) for key in self.body if str(key) not in _UNNEEDED and not str(key).startswith("x-"))
        left = [key for key in left if key != "env_file"]
        if left:
            self.note(f"not carried over: {listed(left, 'and')}")


def _variables_in(text: str) -> Iterator[str]:
    """The variables that Compose fills in."""
    for match in _VARIABLE.finditer(text):
        if match[0] != "$$":
            yield match[1] or match[4]


def _block(key: str, text: str) -> Iterator[str]:
    """A text as a block of YAML; in quotes where it has a character that may end a line or that YAML does not allow."""
    if not text.replace("\n", "").replace("\t", "").isprintable():
        yield f"{key}: {_quoted(text)}"
        return
    yield f"{key}: |"
    for line in text.split("\n"):
        yield f"  {line}".rstrip()


def _items(value: object) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _scalar(text: str) -> str:
    return yaml_scalar(Value(text, text))


def _typed(text: str) -> str:
    """A default as YAML: a number where it is one."""
    if re.fullmatch(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?", text):
        return text
    return _scalar(text)


def _quoted(text: str) -> str:
    """A value that must be text in YAML."""
    scalar = _scalar(text)
    return scalar if scalar.startswith('"') else f'"{scalar}"'
