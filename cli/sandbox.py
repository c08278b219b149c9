"""`propos sandbox`: settings and flags become a SandboxConfig."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from cli import simulated
from cli.stack import logs
from domain.errors import BadInput
from ports.platform import reader_name
from sandbox.server import SandboxConfig, run
from settings import load


def serve(market: Path | None, symbols: tuple[str, ...], date: str | None, speed: float | None, seed: int) -> None:
    """Serve until stopped; BadInput names a flag that makes no sense."""
    settings = load()
    address = urlsplit(settings.sandbox_url)
    values = {
        "data_dir": settings.data_dir / "sandbox",
        "host": settings.sandbox_host or address.hostname,
        "port": address.port or 80,
        "public_url": settings.sandbox_public_url or settings.sandbox_url,
        "token": settings.required("sandbox_token"),
        "webhook_url": f"{settings.api_url}/webhooks/payments/{settings.own_provider('sandbox')}",
        "webhook_secret": settings.required("webhook_secret"),
        "stripe_endpoints": simulated.stripe_endpoints(settings),
        "bank_dir": settings.bank_path.absolute(),
        "bank_currencies": simulated.CURRENCIES,
        "seed": seed,
        "market_dir": market,
        "symbols": symbols,
        "date": date,
        "speed": speed,
        "readers": tuple(reader_name(place) for place in range(settings.shards)),
    }
    try:
        config = SandboxConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "options"
        raise BadInput(f"--{field}: {first['msg']}.", field=field) from None
    logs.configure("sandbox", settings.log_level)
    run(config)
