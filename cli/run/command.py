"""`propos api`, `worker`, `monitor` and `relay`: each imports what it is made of once it runs."""


def api() -> None:
    """Run the API and the console."""
    from cli.run.api import run_api
    from cli.service import run_service
    from settings import load

    settings = load()
    run_service("api", settings, lambda stop: run_api(settings, stop))


def worker() -> None:
    """Run a worker for the workflows and activities of the task queue `core`."""
    from cli.service import run_service
    from settings import load
    from settings_sources import keep_compiled

    settings = load()
    keep_compiled(settings.data_dir)
    from worker import run_worker

    run_service("worker", settings, lambda stop: run_worker(settings, stop), settings.worker_metrics_port)


def monitor() -> None:
    """Run a monitor, which judges accounts live (task queue `monitor`)."""
    from cli.service import run_service
    from settings import load
    from settings_sources import keep_compiled

    settings = load()
    keep_compiled(settings.data_dir)
    from cli.run.monitor import run_monitor

    run_service("monitor", settings, lambda stop: run_monitor(settings, stop), settings.monitor_metrics_port)


def relay() -> None:
    """Run the relay, which delivers the messages of inbox and outbox."""
    from cli.run.relay import run_relay
    from cli.service import run_service
    from settings import load

    settings = load()
    run_service("relay", settings, lambda stop: run_relay(settings, stop), settings.relay_metrics_port)
