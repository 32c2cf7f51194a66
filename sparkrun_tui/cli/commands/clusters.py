"""`cluster`: saved clusters, and the facts of their hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError, UsageError
from sparkrun_tui.base.units import GIB, format_gib
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.cli import output
from sparkrun_tui.cli.completions import cluster_names
from sparkrun_tui.cli.context import Target, open_services, settings_now, target_options
from sparkrun_tui.cli.exits import Exit, say
from sparkrun_tui.cli.groups import CommandGroup

if TYPE_CHECKING:
    from sparkrun_tui.cli.shapes.hosts import CheckedHost, CheckJson, ClusterJson, SilentHost
    from sparkrun_tui.launch.plan.preflight import Finding
    from sparkrun_tui.remote.probe.facts import HostFacts
    from sparkrun_tui.remote.transport import LinkStatus


@click.group("cluster", cls=CommandGroup)
def cluster_group() -> None:
    """List, add, choose, remove and check clusters."""


@cluster_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
def list_command(as_json: bool) -> int:
    """List the saved clusters and those of the sparkrun CLI; a star marks the default."""
    settings = settings_now()
    default = settings.cluster()
    if as_json:
        output.as_json([_cluster_json(cluster, cluster is default) for cluster in settings.clusters])
        return Exit.OK
    rows = []
    for cluster in settings.clusters:
        name = f"{cluster.name} *" if cluster is default else cluster.name
        rows.append((name, ", ".join(cluster.hosts), cluster.source, cluster.description))
    output.table(("NAME", "HOSTS", "FROM", "DESCRIPTION"), rows)
    return Exit.OK


def _cluster_json(cluster: Cluster, default: bool) -> ClusterJson:
    floor = cluster.guard_floor_gib
    return {
        "name": cluster.name,
        "hosts": list(cluster.hosts),
        "description": cluster.description,
        "gpus_per_host": cluster.gpus_per_host,
        "privileged": cluster.privileged,
        "host_to_host": cluster.host_to_host,
        "hf_cache": cluster.hf_cache or None,
        "guard_floor": round(floor * GIB) if floor is not None else None,
        "source": cluster.source,
        "default": default,
    }


@cluster_group.command("add")
@click.argument("name")
@click.argument("hosts", nargs=-1, required=True)
@click.option("--description", default="", help="A short description.")
@click.option("--gpus", default=1, show_default=True, type=click.IntRange(1, 16), help="GPUs per host.")
@click.option(
    "--hf-cache", default="", metavar="DIR", help="The Hugging Face cache on the hosts; by default each host is asked."
)
@click.option("--privileged", is_flag=True, help="Run containers privileged, for RDMA setups that need it.")
@click.option("--host-to-host", is_flag=True, help="Let hosts send models to each other with their own SSH keys.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def add_command(
    name: str,
    hosts: tuple[str, ...],
    description: str,
    gpus: int,
    hf_cache: str,
    privileged: bool,
    host_to_host: bool,
    as_json: bool,
) -> int:
    """Save HOSTS, as you name them to ssh, as the cluster NAME; the first is the head node."""
    from sparkrun_tui.base.user.settings import check_hosts, save_cluster

    names = tuple(part.strip() for text in hosts for part in text.split(",") if part.strip())
    check_hosts(names)
    if hf_cache and not hf_cache.startswith(("/", "~/")):
        raise UsageError(f"`{hf_cache}` is not a folder of the hosts", remedy="Give an absolute path, or ~/PATH.")
    is_default = save_cluster(Cluster(name, names, description, gpus, privileged, hf_cache, host_to_host=host_to_host))
    if as_json:
        _print_saved(name)
    else:
        output.line(f"saved {name}: {', '.join(names)}")
    if not is_default:
        say(f"to make it the default: {shell.words(['sparkrun-tui', 'cluster', 'use', name])}")
    return Exit.OK


def _print_saved(name: str) -> None:
    """Print the cluster `name` as the settings have it now, as JSON."""
    settings = settings_now()
    saved = settings.named_cluster(name)
    if saved is not None:
        output.as_json(_cluster_json(saved, saved is settings.cluster()))


@cluster_group.command("use")
@click.argument("name", shell_complete=cluster_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def use_command(name: str, as_json: bool) -> int:
    """Make NAME the default: the cluster of every command that names no hosts."""
    from sparkrun_tui.base.user.settings import use_cluster

    use_cluster(name)
    if as_json:
        _print_saved(name)
    else:
        output.line(f"{name} is the default cluster now")
    return Exit.OK


@cluster_group.command("show")
@click.argument("name", default="", shell_complete=cluster_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_command(name: str, as_json: bool) -> int:
    """Show the settings of a saved cluster; without NAME, of the default. Its hosts are not contacted."""
    settings = settings_now()
    cluster = settings.named_cluster(name)
    if cluster is None:
        raise UsageError("no cluster is saved", remedy="Save one with `sparkrun-tui cluster add NAME HOST ...`.")
    shown = _cluster_json(cluster, cluster is settings.cluster())
    if as_json:
        output.as_json(shown)
        return Exit.OK
    origin = "config.yaml" if cluster.source == "config" else "the sparkrun CLI, whose file is only read here"
    output.line(f"{cluster.name}: {', '.join(cluster.hosts)}")
    rows = (
        ("description", cluster.description or "-"),
        ("default", _yes(cluster is settings.cluster())),
        ("head node", cluster.hosts[0]),
        ("GPUs per host", str(cluster.gpus_per_host)),
        ("privileged", _yes(cluster.privileged)),
        ("host to host", _yes(cluster.host_to_host)),
        ("memory guard", _guard(cluster.guard_floor_gib)),
        ("HF cache", cluster.hf_cache or "each host is asked"),
        ("saved in", origin),
    )
    output.table(("SETTING", "VALUE"), rows)
    return Exit.OK


def _guard(floor: float | None) -> str:
    if floor is None:
        return "on hosts whose GPU shares their memory"
    if floor == 0:
        return "off"
    return f"below {floor:g} GiB"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


@cluster_group.command("remove")
@click.argument("name", shell_complete=cluster_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def remove_command(name: str, as_json: bool) -> int:
    """Forget a saved cluster; what runs on its hosts keeps running."""
    from sparkrun_tui.base.user.settings import remove_cluster

    known = settings_now().cluster(name)
    if known is not None and known.source != "config":
        raise UsageError(
            f"`{name}` is a cluster of the sparkrun CLI, whose file is only read here",
            remedy="Remove it with the sparkrun CLI.",
        )
    remove_cluster(name)
    if as_json:
        output.as_json({"name": name})
    else:
        output.line(f"removed {name}")
    return Exit.OK


@cluster_group.command("check")
@click.argument("name", default="", shell_complete=cluster_names)
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array with one object per host; sizes in bytes.")
def check_command(name: str, hosts: str, cluster_name: str, demo: bool, as_json: bool) -> int:
    """Check every host of a cluster, and this machine: what is there, and what a launch would lack, with remedies.

    Exit code 1 when no launch could work, 3 when a host does not answer.
    """
    from sparkrun_tui.launch.plan.preflight import Verdict, judge_hosts
    from sparkrun_tui.launch.plan.workstation import judge_workstation
    from sparkrun_tui.remote.hub.place import hub_folder

    if name and cluster_name and name != cluster_name:
        raise UsageError(f"two clusters are given, {name} and {cluster_name}", remedy="Give one of them.")
    found, said = asyncio.run(_probe(Target(hosts, cluster_name or name, demo)))
    findings = judge_hosts({host: facts for host, facts in found.items() if not isinstance(facts, HostError)})
    here: tuple[Finding, ...] = ()
    if not demo:
        here = tuple(judge_workstation(hub_folder()))
    if as_json:
        output.as_json([host_json(host, facts, findings, said[host]) for host, facts in found.items()])
        for finding in here:
            say(f"sparkrun-tui: {finding.host}: {finding}; {finding.remedy}")
    else:
        output.table(_HEAD, [_row(host, facts) for host, facts in found.items()])
        for finding in (*findings, *here):
            sign = "✗" if finding.verdict is Verdict.FAIL else "!"
            output.line(f"{sign} {finding.host}: {finding}")
            output.line(f"  {finding.remedy}")
        for host, link in said.items():
            for text in _said_lines(host, link):
                output.line(text)
    code = Exit.OK
    if any(finding.verdict is Verdict.FAIL for finding in (*findings, *here)):
        code = Exit.FAILED
    for facts in found.values():
        if isinstance(facts, HostError):
            say(f"sparkrun-tui: {facts}")
            code = Exit.HOST
    return code


def _said_lines(host: str, link: LinkStatus) -> Iterator[str]:
    """What a host says at the login, and what its login shell prints."""
    for line in link.says.split("\n"):
        if line.strip():
            yield f"{host} says: {line}"
    if link.shell_says:
        yield f"! {host}: its login shell prints text into every command, which breaks transfers: {link.shell_says}"
        yield "  Make ~/.bashrc silent for shells that are not interactive."


async def _probe(target: Target) -> tuple[Mapping[str, HostFacts | HostError], Mapping[str, LinkStatus]]:
    from sparkrun_tui.launch.launcher import Launcher

    settings = settings_now()
    async with open_services(settings, target) as (cluster, services):
        found = await Launcher(settings, services).probe(cluster)
        said = {name: services.connector(name).link for name in cluster.hosts}
        return {name: found[name] for name in cluster.hosts}, said


_HEAD = ("HOST", "MEMORY", "DISK FREE", "GPU", "DRIVER", "DOCKER", "GPU RUNTIME", "RDMA", "RTT", "CLOCK")


def _row(name: str, facts: HostFacts | HostError) -> tuple[str, ...]:
    if isinstance(facts, HostError):
        return (name, "no answer", *[""] * (len(_HEAD) - 2))
    disk_free, clock = "?", "?"
    disk = facts.disk_for(facts.hf_cache)
    if disk is not None:
        disk_free = format_gib(disk.free, 0)
    if facts.clock_skew is not None:
        clock = f"{facts.clock_skew:+.1f} s"
    docker = facts.docker_access
    if docker == "ok":
        docker = facts.docker_version
    gpus = ", ".join(gpu.name for gpu in facts.gpus)
    rdma = ", ".join(port.device for port in facts.rdma)
    return (
        name,
        f"{format_gib(facts.memory_available)} of {format_gib(facts.memory_total)} free",
        disk_free,
        gpus or "none",
        facts.driver or "?",
        docker,
        "yes" if facts.gpu_runtime else "no",
        rdma or "none",
        f"{facts.round_trip * 1000:.0f} ms",
        clock,
    )


def host_json(
    name: str, facts: HostFacts | HostError, findings: Sequence[Finding], link: LinkStatus
) -> SilentHost | CheckedHost:
    """The facts of a host, and what a launch would lack there; `error` is null unless the host did not answer."""
    if isinstance(facts, HostError):
        return {
            "host": name,
            "error": facts.what,
            "remedy": facts.remedy or None,
            "says": link.says or None,
            "shell_says": link.shell_says or None,
        }
    return {
        "host": name,
        "error": None,
        "hostname": facts.hostname,
        "arch": facts.arch,
        "kernel": facts.kernel,
        "user": facts.user,
        "home": facts.home,
        "hf_cache": facts.hf_cache,
        "clock_skew": facts.clock_skew,
        "round_trip": facts.round_trip,
        "memory_total": facts.memory_total,
        "memory_available": facts.memory_available,
        "swap_free": facts.swap_free,
        "disks": [{"path": disk.path, "free": disk.free, "total": disk.total} for disk in facts.disks],
        "gpus": [
            {"name": gpu.name, "memory_total": gpu.memory_total, "utilisation": gpu.utilisation} for gpu in facts.gpus
        ],
        "driver": facts.driver,
        "cuda": facts.cuda,
        "docker": facts.docker_version,
        "docker_access": facts.docker_access,
        "gpu_runtime": facts.gpu_runtime,
        "interface": facts.default_interface,
        "address": facts.default_address,
        "rdma": [
            {
                "device": port.device,
                "interface": port.interface,
                "address": port.address,
                "network": port.network,
                "gid_index": port.gid_index,
            }
            for port in facts.rdma
        ],
        "tools": sorted(facts.tools),
        "findings": [_finding_json(finding) for finding in findings if finding.host == name],
        "says": link.says or None,
        "shell_says": link.shell_says or None,
    }


def _finding_json(finding: Finding) -> CheckJson:
    return {
        "code": finding.code,
        "verdict": finding.verdict,
        "what": finding.what,
        "measured": finding.measured,
        "needed": finding.needed,
        "remedy": finding.remedy,
    }
