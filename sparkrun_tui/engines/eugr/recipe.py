"""A recipe as the version-1 file that eugr/spark-vllm-docker reads, with all overrides in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any

import yaml

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.recipe.values.rendered import Rendered

_KEY = late_regex(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def version_one(
    rendered: Rendered, command: str, container: str, env: Mapping[str, str], mods: Sequence[str] = ()
) -> str:
    """The YAML text of the file; `command` is the rendered serve command, `env` holds no secrets.

    `mods` are applied in this order: names of the scripts' own mods, or folders on the head node.

    Overrides are written into `defaults`: the scripts take only five of them as arguments and would pass any other to
    vLLM unchanged.
    """
    recipe = rendered.recipe
    defaults = {key: _plain(link.value.data) for key, link in rendered.chain.items()}
    body: dict[str, Any] = {
        "recipe_version": "1",
        "name": recipe.name,
        "model": recipe.model,
        "container": container,
    }
    if mods:
        body["mods"] = list(mods)
    build_arguments = _as_list(recipe.runtime_config.get("build_args") or ())
    if build_arguments:
        body["build_args"] = [str(argument) for argument in build_arguments]
    body["defaults"] = defaults
    body["env"] = {name: _in_double_quotes(value) for name, value in env.items()}
    body["command"] = _template(rendered, defaults, command)
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=1_000_000)


def _template(rendered: Rendered, defaults: Mapping[str, Any], command: str) -> str:
    """The author's template where the scripts make the same command of it, else the command itself, escaped.

    Raises `LaunchError` for a default with a format, which the scripts fill in differently.
    """
    template = rendered.recipe.command
    if template is not None:
        form = _formatted(template, defaults)
        if form:
            raise LaunchError(
                f"the command fills in a default with a format, `{shorten(form, 60)}`, which is not supported",
                spot=rendered.recipe.command_spot,
                remedy="write only the name, such as {port}, and give the value in its final form",
            )
        if filled(template, defaults, len(command)) == command:
            return template
    return command.replace("{", "{{").replace("}", "}}")


def filled(template: str, defaults: Mapping[str, Any], longest: int) -> str | None:
    """The template as the scripts' `str.format` fills it in, where its placeholders are all plain names.

    None where they are not, or where the result would be longer than `longest` characters.
    """
    parts: list[str] = []
    length = 0
    try:
        for literal, name, form, conversion in Formatter().parse(template):
            value = ""
            if name is not None:
                is_plain_name = not form and not conversion and name in defaults
                if not is_plain_name:
                    return None
                value = str(defaults[name])
            parts += [literal, value]
            length += len(literal) + len(value)
            if length > longest:
                return None
    except ValueError:
        return None  # Single braces, as in a shell script or JSON.
    return "".join(parts)


def _formatted(template: str, defaults: Mapping[str, Any]) -> str:
    """The first placeholder of a default that has a format, a conversion or an attribute; empty without one."""
    try:
        for _, name, form, conversion in Formatter().parse(template):
            key = _KEY.match(name or "")
            if key is None or key.group() not in defaults:
                continue
            if key.group() == name and not form and not conversion:
                continue
            placeholder = name or ""
            if conversion:
                placeholder += f"!{conversion}"
            if form:
                placeholder += f":{form}"
            return f"{{{placeholder}}}"
    except ValueError:
        pass  # Single braces: the scripts get the rendered command and fill in nothing.
    return ""


def _in_double_quotes(value: str) -> str:
    """A value for `export NAME="value"`; `$` is kept, since these recipes may rely on the container's shell."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`")


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return list(value)
    return [value]


def _plain(value: Any) -> Any:
    """A value with its mappings and lists as dicts and lists, and everything YAML has no plain form for as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)
