"""A service as units of a user's systemd, one for each host, which run `docker run` in the foreground."""

from __future__ import annotations

from sparkrun_tui.base.text import visible_line
from sparkrun_tui.launch.deploy.service import START_SECONDS, Service, comments, fetch_hints
from sparkrun_tui.launch.plan.containers import foreground_words


def units(service: Service) -> dict[str, str]:
    """The text of each unit by its file name, in rank order: `NAME.service`, on several hosts `NAME-0.service`."""
    found = {}
    for rank in range(len(service.ranks)):
        name = service.name if len(service.ranks) == 1 else f"{service.name}-{rank}"
        found[f"{name}.service"] = _unit(service, rank, name)
    return found


def _unit(service: Service, rank: int, name: str) -> str:
    spec = service.ranks[rank]
    words = foreground_words(spec, name, service.scripts[rank])
    where = f" of host {rank + 1} of {len(service.ranks)}" if len(service.ranks) > 1 else ""
    lines = [
        f"{service.recipe} ({service.engine}){where}, written by `sparkrun-tui recipe export --as systemd`.",
        f"Put it at ~/.config/systemd/user/{name}.service of a user who may use Docker, then:",
        f"  systemctl --user daemon-reload && systemctl --user enable --now {name}",
        "  loginctl enable-linger    (once: it then starts without a login)",
        f"Logs: journalctl --user -fu {name}",
    ]
    lines += fetch_hints(service)
    for secret in spec.secret_env:
        lines.append(f"{secret}=VALUE belongs into ~/.config/sparkrun-tui/{name}.env (mode 0600).")
    restart = "on-failure" if spec.restart.startswith("on-failure") else "always"
    return f"""\
{comments([*lines, *service.notes])}
[Unit]
Description={_plain(service.recipe)} ({service.engine})
StartLimitIntervalSec=3600
StartLimitBurst=5

[Service]
EnvironmentFile=-%h/.config/sparkrun-tui/{name}.env
ExecStartPre=-/usr/bin/docker rm -f {name}
ExecStart={" ".join(map(_word, words))}
ExecStop=/usr/bin/docker stop -t {service.grace} {name}
Restart={restart}
RestartSec=15
TimeoutStartSec={START_SECONDS}
TimeoutStopSec={service.grace + 30}

[Install]
WantedBy=default.target
"""


def _plain(text: str) -> str:
    """A foreign text as the value of a setting: on one line, with signs for what cannot be seen."""
    return visible_line(text).replace("%", "%%")


def _word(text: str) -> str:
    """A word of a command as systemd reads it (systemd.service, \"Command lines\"): quoted, `%` and `$` doubled.

    The mark of a home folder, `~` at the beginning of a mounted path, is `%h`.
    """
    home = text.startswith("~/")
    if home:
        text = text[1:]
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    escaped = escaped.replace("%", "%%").replace("$", "$$")
    if home:
        escaped = f"%h{escaped}"
    return f'"{escaped}"'
