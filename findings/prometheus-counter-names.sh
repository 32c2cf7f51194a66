#!/usr/bin/env bash
# prometheus_client 0.26.0 gives counters of the text format other names than the page that it reads has.
#
# Why it matters: exporters on GPU hosts have counters without the ending `_total` (NVIDIA's DCGM exporter, for one). The
# parser adds the ending to the samples, so that looking for the name that `curl` shows finds nothing. A counter that
# has the ending loses it in the family's name. And two counters that differ in the ending only, both valid in the text
# format, come out as two families of one name with samples of one name.
#
# Seen on Python 3.11: for `energy 3` of type counter the sample is `energy_total`; for the counters `x` (1) and
# `x_total` (2) there are two families `x`, with one sample `x_total` each, of 1 and of 2. The gauge `y` stays `y`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
"${SPARKRUN_PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check prometheus-client==0.26.0

"$folder/venv/bin/python" - <<'PYTHON'
from prometheus_client.parser import text_string_to_metric_families


def read(page):
    return [
        (family.name, [(sample.name, sample.value) for sample in family.samples])
        for family in text_string_to_metric_families(page)
    ]


bare = read("# TYPE energy counter\nenergy 3\n")
both = read("# TYPE x counter\nx 1\n# TYPE x_total counter\nx_total 2\n")
gauge = read("# TYPE y gauge\ny 4\n")
print("energy:", bare)
print("x and x_total:", both)
print("y:", gauge)

assert bare == [("energy", [("energy_total", 3)])], bare
assert both == [("x", [("x_total", 1)]), ("x", [("x_total", 2)])], both
assert gauge == [("y", [("y", 4)])], gauge
PYTHON
