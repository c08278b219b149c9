"""No two workers of a test run choose the same port."""

from tests.free_ports import ports_of_worker

PORTS = range(20_000, 32_000)


def _of(worker: str) -> range:
    return ports_of_worker(PORTS, {"PYTEST_XDIST_WORKER": worker, "PYTEST_XDIST_WORKER_COUNT": "3"})


def test_each_worker_has_a_part_of_the_ports() -> None:
    parts = [_of(worker) for worker in ("gw0", "gw1", "gw2")]
    assert sorted(port for part in parts for port in part) == list(PORTS)
    assert {len(part) for part in parts} == {4_000}


def test_the_worker_that_replaces_another_has_ports_as_well() -> None:
    assert _of("gw3") == _of("gw0")


def test_a_run_without_workers_has_all() -> None:
    assert ports_of_worker(PORTS, {}) == PORTS
