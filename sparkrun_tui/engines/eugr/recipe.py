"""A recipe as the version-1 file that eugr/spark-vllm-docker reads, with all overrides in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any

import yaml

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.recipe.values.rendered import Rendered

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def version_one(
    rendered: Rendered, command: str, container: str, env: Mapping[str, str], mods: Sequence[str] = ()
) -> str:
    """The YAML text of the file; `command` is the rendered serve command, `env` holds no secrets.

    `mods` are applied in this order: names of the scripts' own, or folders on the head.

    Overrides go into `defaults`, since the scripts take only five of them as arguments and would hand any other to
    vLLM as it stands.
    """
    recipe = rendered.recipe
    defaults = {key: _plain(link.value.data) for key, link in rendered.chain.items()}
    body: dict[str, Any] = {
        "recipe_version": "1",
        "name": recipe.name,
        "model": recipe.model,
        "container": container,
    }
    for key, items in (("mods", mods), ("build_args", _listed(recipe.runtime_config.get("build_args") or ()))):
        if items:
            body[key] = [str(item) for item in items]
    body |= {"defaults": defaults, "env": {name: _in_double_quotes(value) for name, value in env.items()}}
    body["command"] = _template(rendered, defaults, command)
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=1_000_000)


def _template(rendered: Rendered, defaults: Mapping[str, Any], command: str) -> str:
    """The author's template where the scripts make the same command of it, else the command itself, escaped.

    Raises `LaunchError` for a default with a format, which is filled in otherwise there than here.
    """
    template = rendered.recipe.command
    if template is not None:
        form = _formatted(template, defaults)
        if form:
            raise LaunchError(
                f"the command fills in a default with a format, `{form[:60]}`, which is not supported",
                spot=rendered.recipe.command_spot,
                remedy="Write the name alone, such as {port}, and the value as it is wanted.",
            )
        if filled(template, defaults, len(command)) == command:
            return template
    return command.replace("{", "{{").replace("}", "}}")


def filled(template: str, defaults: Mapping[str, Any], longest: int) -> str | None:
    """The template as the scripts' `str.format` fills it in, where it has nothing but plain names.

    None where it has something else, or would be longer than `longest` characters.
    """
    parts: list[str] = []
    length = 0
    try:
        for literal, name, form, conversion in Formatter().parse(template):
            if name is not None and (form or conversion or name not in defaults):
                return None
            value = str(defaults[name]) if name is not None else ""
            parts += [literal, value]
            length += len(literal) + len(value)
            if length > longest:
                return None
    except ValueError:
        return None  # Single braces, as a shell or JSON has them.
    return "".join(parts)


def _formatted(template: str, defaults: Mapping[str, Any]) -> str:
    """The first slot of a default that has a format, a conversion or a part of it; empty without one."""
    try:
        for _, name, form, conversion in Formatter().parse(template):
            key = _KEY.match(name or "")
            more = bool(form or conversion or (key is not None and key.group() != name))
            if key is not None and key.group() in defaults and more:
                return f"{{{name}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}}}"
    except ValueError:
        pass  # Single braces: it is not filled in by the scripts, but goes to them as the rendered command.
    return ""


def _in_double_quotes(value: str) -> str:
    """A value for `export NAME="value"`; `$` stays, since these recipes may count on the container's shell."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
