"""YAML as people write it: keys in the given order, and texts of several lines as blocks."""

from __future__ import annotations

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes no anchors: readers of single documents do not expect them."""

    def ignore_aliases(self, data: Any) -> bool:
        """Every value is written in full."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    if "\n" in value:
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def document(data: Any) -> str:
    """One YAML document. A line that ends in a space makes YAML quote its text, so such spaces are removed."""
    return yaml.dump(_trimmed(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _trimmed(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _trimmed(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_trimmed(item) for item in data]
    if isinstance(data, str) and "\n" in data:
        return "\n".join(line.rstrip(" \t") for line in data.split("\n"))
    return data
