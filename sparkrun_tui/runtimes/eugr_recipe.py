"""A recipe as the version-1 file that eugr/spark-vllm-docker reads, with all overrides in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from sparkrun_tui.recipe.rendered import Rendered


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
    body["command"] = _template(recipe.command, defaults, command)
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=1_000_000)


def _template(template: str | None, defaults: Mapping[str, Any], command: str) -> str:
    """The author's template where Python's format makes the same command of it, else the command itself, escaped."""
    if template is not None:
        try:
            if template.format(**defaults) == command:
                return template
        except (LookupError, ValueError, AttributeError, TypeError):
            pass  # The template uses what Python's format cannot do; the rendered command says the same.
    return command.replace("{", "{{").replace("}", "}}")


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
