"""A page that follows a run while it trains, on this machine alone."""

import http.client
import os
import signal
import threading
from pathlib import Path

import pytest
from toy_run import train_toy

from inrkit.errors import DataError, UsageError
from inrkit.report.live import live_page, serve
from inrkit.report.sheets import write_samples


def ask(address: str, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_the_page_shows_how_far_a_run_is(tmp_path: Path) -> None:
    """With the newest sheet, and loaded anew; it fetches nothing, and writes nothing."""
    train_toy(tmp_path, steps=20, sample_every=10, log_every=5, on_sample=write_samples)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    page = live_page(tmp_path)
    assert '<meta http-equiv="refresh" content="5">' in page
    assert "20 <small>of 20</small>" in page
    assert "step 20" in page
    assert page.count("default-src 'none'") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_it_is_served_to_this_machine_until_ctrl_c(tmp_path: Path) -> None:
    """A foreign host is refused, as is any other path; the port is taken meanwhile, and free afterwards."""
    train_toy(tmp_path, steps=10)
    found: list[tuple[int, str]] = []

    def look(address: str) -> None:
        port = int(address.rstrip("/").rpartition(":")[2])
        with pytest.raises(UsageError, match=rf"port {port} is not free .*'--port'"):
            serve(tmp_path, port, print)

        def asking() -> None:
            try:
                found.extend([ask(address, "/"), ask(address, "/", Host="evil.example"), ask(address, "/config.toml")])
            finally:
                os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=asking).start()

    serve(tmp_path, 0, look)
    assert [status for status, _ in found] == [200, 403, 404]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    """Before anything is served."""
    with pytest.raises((DataError, UsageError)):
        serve(tmp_path / "none", 0, print)
