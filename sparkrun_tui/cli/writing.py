"""New files that a command writes, on stdout, on disk, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.cli import output
from sparkrun_tui.cli.exits import say

if TYPE_CHECKING:
    from sparkrun_tui.base.user.settings import Settings
    from sparkrun_tui.cli.shapes.recipes import WrittenJson
    from sparkrun_tui.recipe.values.rendered import Rendered

FORMS = ("compose", "systemd", "kubernetes", "kuberay")
"""The other tools that a launch can be written for, as `launch.deploy.forms`, not imported for `--help`, names them."""

output_option = click.option(
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this new file instead of stdout.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object with the text of each file and the notes."
)


def refuse_existing(target: Path) -> None:
    """Raise `UsageError` for a file that is there already."""
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} exists already", remedy="choose another name")


def write_files(
    files: Mapping[str, str],
    target: Path | None,
    *,
    notes: Sequence[str] = (),
    private: bool = False,
    as_json: bool = False,
) -> None:
    """Write one text to the file `target`, several into a folder of that name; without it, print them.

    `notes` are said on stderr, too. `private` files can be read by their owner only. Raises `UsageError` for a target
    that is there already, and `OSError`.
    """
    from sparkrun_tui.launch.deploy.forms import one_text

    for note in notes:
        say(note)
    written: list[str] = []
    if target is not None:
        written = _written(files, target, private)
    if as_json:
        body: WrittenJson = {"files": dict(files), "written": written, "notes": list(notes)}
        output.as_json(body)
    elif target is None:
        output.raw(one_text(files))


def _written(files: Mapping[str, str], target: Path, private: bool) -> list[str]:
    """The paths of the new files."""
    from sparkrun_tui.launch.deploy.forms import write

    refuse_existing(target)
    paths = [str(path) for path in write(files, target, private=private)]
    for path in paths:
        say(f"wrote {path}")
    return paths


def write_launch(
    rendered: Rendered,
    form: str,
    settings: Settings,
    target: Path | None,
    *,
    hosts: Sequence[str] = (),
    nodes: int | None = None,
    notes: Sequence[str] = (),
    yes: bool = False,
    as_json: bool = False,
) -> None:
    """Write a launch for another tool, a name of `FORMS`; `hosts` and `nodes` as in `launch.deploy.forms.files_of`.

    The other tool starts it without a question. A file of a third-party recipe is therefore written once the user has
    agreed; with standard output, which is looked at first or piped on, stderr says what it does.
    """
    import os

    from sparkrun_tui.cli.prompts import agreed, how_to_agree, say_demands
    from sparkrun_tui.launch.deploy.forms import files_of
    from sparkrun_tui.launch.plan.consent import about_another_tool, consent_needed

    files = files_of(rendered, form, os.environ, hosts, nodes)
    wanted = consent_needed(rendered, os.environ, data_dirs=settings.data_dirs)
    if wanted and target is None:
        say_demands(about_another_tool(rendered), wanted)
    elif wanted and not agreed(about_another_tool(rendered), wanted, "Write it?", yes):
        raise UsageError("not written: this recipe needs your consent", remedy=how_to_agree())
    write_files(files, target, notes=notes, as_json=as_json)
