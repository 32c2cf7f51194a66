"""A worker of vLLM's Ray executor: a node starts it in its container, it loads its share and serves the driver."""

from __future__ import annotations

import json
import os
import sys

from engine_standin import checks, phases
from engine_standin.lines import Record
from engine_standin.wire import Wire


def main() -> None:
    """One worker; its order is the first argument."""
    order = json.loads(sys.argv[1])
    phases.name_process("RayWorkerProc")
    host, _, port = order["driver"].rpartition(":")
    driver = Wire.connect(host, int(port), patience=10)
    rank, world = order["rank"], order["world"]
    driver.send(rank=rank, pid=os.getpid(), address=order["address"])

    def write(line: str) -> None:
        driver.send(line=line)

    try:
        address = checks.own_address()
        if address != order["address"]:
            raise checks.Refused(f"RuntimeError: VLLM_HOST_IP={address}, but this Ray node is {order['address']}")
        checks.check_shared_memory()
        record = Record("Worker", write)
        record.info(phases.rank_line(rank, world, order["driver"]), "parallel_state.py:1906")
        # All ranks go on together.
        driver.send(state="met")
        if driver.receive() is None:
            return
        record.info(phases.met_line(rank, world), "parallel_state.py:2350")
        directory = checks.find_model(order["model"])
        phases.load(Record(f"Worker_TP{rank}", write), directory, rank, world, write)
    except checks.Refused as error:
        Record(f"Worker_TP{rank}", write).failure(str(error), "multiproc_executor.py:950")
        driver.send(state="failed", cause=str(error))
        return
    driver.send(state="ready", call=checks.call_record(order["model"], directory, sys.argv[1:]))
    while driver.receive() is not None:
        pass


if __name__ == "__main__":
    main()
