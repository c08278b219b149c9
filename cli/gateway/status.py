"""`propos gateway status`: how a gateway is, in words or as JSON."""

import json

import httpx

from adapters.own_http import options, transport_error
from cli.adapters import build_for_gateway
from settings import Settings

_TIMEOUT = 5.0


def show(settings: Settings, name: str, *, as_json: bool) -> None:
    """Prints it. Raises Unavailable when the gateway does not answer."""
    _, _, values = build_for_gateway(settings, name)
    token = values.gateway_token.get_secret_value()
    try:
        with httpx.Client(**options(values.gateway, token, _TIMEOUT)) as client:
            status = client.get("/health").json()
    except httpx.RequestError as exc:
        raise transport_error(f"The gateway of {name}", exc, changing=False) from exc
    if as_json:
        print(json.dumps(status, indent=2))
        return
    state = "connected" if status["connected"] else f"not connected: {status['trouble'] or 'starting'}"
    lag = status["clock_lag_ms"]
    print(f"{name}: {state}{'' if status['caught_up'] else ', catching up'}")
    print(f"  market time {status['market_time']}, batch {status['batch']}, {status['accounts']} accounts")
    print(f"  last message {status['last_message_at'] or 'none'}, from the venue's clock to receipt {lag or '?'} ms")
    print("  " + ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in status["counts"].items() if count))
    for line in status["unreadable"][-5:]:
        print(f"  not understood: {line}")
