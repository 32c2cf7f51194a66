#!/usr/bin/env bash
# asyncssh 2.24.1 takes the words of a comment behind `Host` in an ssh_config for hosts, and a comma for the end of one.
#
# Why it matters: OpenSSH lets a comment stand behind the patterns of a Host line (9.2 does; its manual says lines that
# begin with `#`). asyncssh reads `Host spark-1 # not spark-2` as four patterns, so that spark-2 gets the settings of
# spark-1, without a word; behind any other option the same comment is an error. And `Host spark-1,spark-2` is one name
# for OpenSSH, which matches neither host, and two for asyncssh.
#
# Seen on Python 3.11:                          asyncssh 2.24.1     OpenSSH 9.2p1 (ssh -G)
#   port of spark-2, `Host spark-1 # not spark-2`     2200                22
#   port of spark-2, `Host spark-1,spark-2`           2200                22
#   `Port 2200 # as above`                            ConfigParseError    2200
# OpenSSH is asked too where it is installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
"${SPARKRUN_PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check asyncssh==2.24.1

cd "$folder"
printf 'Host spark-1 # not spark-2\n  Port 2200\n' >comment
printf 'Host spark-1,spark-2\n  Port 2200\n' >comma
printf 'Host spark-2\n  Port 2200 # as above\n' >behind

"$folder/venv/bin/python" - <<'PYTHON'
import asyncssh


def port(config):
    try:
        return asyncssh.SSHClientConnectionOptions(host="spark-2", config=[config], client_keys=None).port
    except asyncssh.ConfigParseError:
        return "ConfigParseError"


print("asyncssh", asyncssh.__version__)
for config, expected in (("comment", 2200), ("comma", 2200), ("behind", "ConfigParseError")):
    found = port(config)
    print(f"{config}: {found}")
    assert found == expected, (config, found)
PYTHON

if command -v ssh >/dev/null; then
    ssh -V 2>&1
    for config in comment comma behind; do
        found=$(ssh -G -F "$config" spark-2 2>/dev/null | sed -n 's/^port //p')
        echo "$config: $found"
        case $config in behind) expected=2200 ;; *) expected=22 ;; esac
        [ "$found" = "$expected" ]
    done
fi
