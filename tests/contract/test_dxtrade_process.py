"""The fake DXtrade as a process of its own, the adapter as the settings build it, and a venue whose certificate is
wrong."""

import ipaddress
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.dxtrade.feed import DxtradeFeed
from adapters.dxtrade.platform import Dxtrade
from cli.adapters import build_for_gateway, build_platforms
from domain.errors import Unavailable
from sandbox.dxtrade.server import USER, FakeDxtrade
from settings import load
from tests.contract.dxtrade_thread import DxtradeThread
from tests.contract.sandbox_process import free_port


@pytest.fixture
def url() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "sandbox.dxtrade.server", "--port", str(port)])
    address = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=address, trust_env=False) as http:
            while True:
                try:
                    http.get("/control/health").raise_for_status()
                    break
                except httpx.TransportError:
                    assert process.poll() is None
                    time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


async def test_the_settings_build_a_platform_and_its_feed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    domain, user, password = USER
    values = {"adapter": "dxtrade", "url": url, "domain": domain, "username": user, "password": password}
    values |= {"broker_code": "firm", "gateway": "http://127.0.0.1:9", "gateway_token": "t", "marks": "states"}
    for field, value in values.items():
        monkeypatch.setenv(f"PROPOS_PLATFORMS__LIVE__{field.upper()}", value)
    monkeypatch.setenv("PROPOS_DEFAULT_PLATFORM", "live")
    platform = build_platforms(load()).of("live")
    _, feed, _ = build_for_gateway(load(), "live")
    assert isinstance(platform, Dxtrade) and platform.name == "live" and platform.marks("any") == "states"
    assert "instruments" in await platform.healthy()
    login = await platform.create_account(key="chl_1/1", group="two-step/1", currency="USD", leverage=100)
    assert await platform.find_account("chl_1/1") == login
    assert [spec.symbol for spec in await feed.symbols()] == ["EURUSD", "USDJPY", "XAUUSD"]
    await platform.aclose()
    await feed.aclose()


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[str]:
    """The fake over TLS, with a certificate that nobody signed but itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(key.private_bytes(*form))
    port = free_port()
    config = uvicorn.Config(
        FakeDxtrade().app,
        port=port,
        log_level="critical",
        ssl_certfile=str(tmp_path / "certificate.pem"),
        ssl_keyfile=str(tmp_path / "key.pem"),
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"https://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


async def test_a_venue_with_a_wrong_certificate_is_told_nothing(
    untrusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    settings = DxtradeThread.settings_of(untrusted)
    platform, feed = Dxtrade("live", settings), DxtradeFeed("live", settings)
    with pytest.raises(Unavailable):
        await platform.healthy()
    with pytest.raises(Unavailable):
        await feed.symbols()
    await platform.aclose()
    await feed.aclose()
