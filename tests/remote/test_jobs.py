"""Jobs that outlive the connection, over a real SSH server and on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sparkrun_tui.remote.failures import CommandFailed
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.script.jobs import Jobs, JobState
from sparkrun_tui.remote.transport import LinkState
from tests.support.site import Site, until
from tests.support.ssh_server import alive


def jobs_of(site: Site) -> Jobs:
    return Jobs(site.pool.transport("spark"), str(site.folder / "jobs"), sleep=lambda _seconds: asyncio.sleep(0.01))


async def test_a_job_is_followed_over_resets_byte_for_byte(site: Site) -> None:
    jobs = jobs_of(site)
    # It goes on after each part only once the link was broken, so that it cannot be over before that.
    wait = f"until [ -e {site.folder}/go-$part ]; do sleep 0.02; done"
    script = f'for part in 1 2 3 4 5; do for n in $(seq 80); do echo "line $part.$n"; done; {wait}; done; exit 42'
    assert await jobs.start("l1/pull", script)
    received = b""
    resets = 0
    async for data in jobs.follow("l1/pull"):
        received += data
        while received.count(b"\n") // 80 > resets:
            resets += 1
            site.server.drop()
            (site.folder / f"go-{resets}").touch()
    assert received == b"".join(b"line %d.%d\n" % (part, n) for part in range(1, 6) for n in range(1, 81))
    status = await jobs.wait("l1/pull")
    assert (status.state, status.code, status.size) == (JobState.ENDED, 42, len(received))
    assert site.server.logins == 1 + resets


async def test_starting_twice_starts_once(site: Site) -> None:
    jobs = jobs_of(site)
    count = site.folder / "count"
    assert await jobs.start("l1/once", f"echo x >> {count}")
    assert not await jobs.start("l1/once", f"echo x >> {count}")
    assert (await jobs.wait("l1/once")).code == 0
    assert count.read_text() == "x\n"
    await jobs.forget("l1/once")
    assert (await jobs.status("l1/once")).state is JobState.MISSING


async def test_a_job_goes_on_without_a_connection_and_can_be_cancelled(site: Site) -> None:
    jobs = jobs_of(site)
    note = site.folder / "pid"
    await jobs.start("l1/long", f"echo $$ > {note}.new; mv {note}.new {note}; sleep 100; sleep 100")
    await until(note.exists)
    pid = int(note.read_text())
    site.server.drop()
    assert alive(pid)
    await until(lambda: site.pool.transport("spark").link.state is LinkState.UP)
    assert (await jobs.status("l1/long")).state is JobState.RUNNING
    await jobs.cancel("l1/long")
    await until(lambda: not alive(pid))
    assert (await jobs.status("l1/long")).state in (JobState.DIED, JobState.ENDED)


async def test_environment_and_quotes_arrive_as_they_are(tmp_path: Path) -> None:
    jobs = Jobs(LocalTransport(), str(tmp_path / "it's"))
    await jobs.start("l/env", "printf '%s' \"$VALUE\"", {"VALUE": "a 'b' \"c\" $d `e`"})
    assert b"".join([data async for data in jobs.follow("l/env")]) == b"a 'b' \"c\" $d `e`"


@pytest.mark.parametrize("key", ["", "../x", "a b", "-x", "a;b"])
async def test_keys_are_plain_words(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not a job key"):
        await Jobs(LocalTransport(), str(tmp_path)).start(key, "true")


async def test_a_job_run_to_its_end_survives_a_break_and_tells_how_it_ended(site: Site) -> None:
    jobs = jobs_of(site)
    received = b""
    dropped = False
    with pytest.raises(CommandFailed, match="it is broken") as caught:
        async for stream, data in jobs.run("l1/run", "echo one; sleep 0.4; echo two; echo 'it is broken' >&2; exit 6"):
            assert stream == "stdout"
            received += data
            if not dropped:
                dropped = True
                site.server.drop()
    assert caught.value.code == 6
    assert received == b"one\ntwo\nit is broken\n"
    assert (await jobs.status("l1/run")).state is JobState.MISSING


async def test_a_job_that_nobody_wants_any_more_is_stopped(tmp_path: Path) -> None:
    jobs = Jobs(LocalTransport(), str(tmp_path))
    output = jobs.run("l/run", "echo $$; sleep 100")
    async for _, data in output:
        pid = int(data)
        break
    await output.aclose()
    await until(lambda: not alive(pid))
