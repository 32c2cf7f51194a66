"""The forms in which a launch can be written for another tool, each as the texts of its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.launch.deploy.compose import compose_file
from sparkrun_tui.launch.deploy.kuberay import ray_cluster
from sparkrun_tui.launch.deploy.kubernetes import host_names, manifests
from sparkrun_tui.launch.deploy.service import service_of
from sparkrun_tui.launch.deploy.systemd import units
from sparkrun_tui.recipe.format.export import write_new_recipe
from sparkrun_tui.recipe.values.rendered import Rendered

FORMS = ("compose", "systemd", "kubernetes", "kuberay")
_MOST_NODES = 64


def files_of(
    rendered: Rendered,
    form: str,
    environ: Mapping[str, str],
    hosts: Sequence[str] = (),
    nodes: int | None = None,
) -> Mapping[str, str]:
    """The files of a form (a name of `FORMS`), by name.

    `hosts` are those of the units of systemd, which reach each other by these names. `nodes` is how many hosts there
    are, None for as many as the recipe takes. Raises `LaunchError` where the
    recipe cannot be written so.
    """
    if form == "compose":
        return {"compose.yaml": compose_file(service_of(rendered, _any(rendered, environ, nodes), environ))}
    if form == "kubernetes":
        service = service_of(rendered, host_names(nodes or _MOST_NODES), environ, ray=True)
        return {f"{service.name}.yaml": manifests(service)}
    if form == "kuberay":
        service = service_of(rendered, host_names(nodes or _MOST_NODES), environ, ray=True)
        return {f"{service.name}.yaml": ray_cluster(service)}
    if not hosts:
        hosts = _any(rendered, environ, nodes)
    return units(service_of(rendered, hosts, environ))


def one_text(files: Mapping[str, str]) -> str:
    """All files as one text; several have a line with its name above each."""
    if len(files) == 1:
        return "".join(files.values())
    return "".join(f"# ---- {name}\n{text}\n\n" for name, text in files.items())


def write(files: Mapping[str, str], target: Path, *, private: bool = False) -> list[Path]:
    """Write one text to the new file `target`, several into a new folder of that name; returns their paths.

    Raises `OSError` where something is there already, or cannot be written.
    """
    if len(files) > 1:
        target.mkdir(parents=True)
    paths = []
    for name, text in files.items():
        path = target / name if len(files) > 1 else target
        write_new_recipe(path, text, private=private)
        paths.append(path)
    return paths


def _any(rendered: Rendered, environ: Mapping[str, str], nodes: int | None) -> tuple[str, ...]:
    """One host that stands for any. Raises `LaunchError` where the recipe needs several."""
    service = service_of(rendered, host_names(nodes or _MOST_NODES), environ, ray=True)
    if len(service.ranks) > 1:
        raise LaunchError(
            f"the recipe is for {len(service.ranks)} hosts",
            remedy="export it with --as kubernetes, or with --as systemd and -H, which gives a unit for each host",
        )
    return ("localhost",)
