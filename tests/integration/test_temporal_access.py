"""Temporal over TLS: a server with the wire of Temporal asks for a client certificate and hears the API key."""

import datetime
import ipaddress
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from temporalio.service import TLSConfig

from cli import compose
from cli.stack.probes import TemporalProbe
from cli.temporal_access import temporal_access
from domain.errors import BadInput, Unavailable
from relay.temporal import OPEN
from settings import Settings, load
from tests.servers import NAMESPACE

KEYS = "k1:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
API_KEY = "key-of-the-namespace"


@dataclass
class Paper:
    """A certificate and its key, and where they are as PEM files."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    certificate_path: Path
    key_path: Path


def paper(folder: Path, name: str, issuer: Paper | None = None) -> Paper:
    """A certificate for this machine, signed by `issuer` or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.DNSName("temporal.test"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )
    made = Paper(certificate, key, folder / f"{name}.pem", folder / f"{name}.key")
    made.certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


@dataclass
class Heard:
    """A server that asks every client for a certificate, and what it heard."""

    port: int = 0
    calls: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)  # method, metadata, client's name


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, heard: Heard) -> None:
        self._heard = heard

    def service(self, call: Any) -> Any:
        def answer(_request: bytes, context: Any) -> bytes:
            name = context.auth_context().get("x509_common_name", [b""])[0].decode()
            self._heard.calls.append((call.method, dict(call.invocation_metadata), name))
            return b""  # every field of every answer at its default

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def papers(tmp_path: Path) -> dict[str, Paper]:
    authority = paper(tmp_path, "authority")
    signed = {name: paper(tmp_path, name, authority) for name in ("server", "client")}
    return {"authority": authority, "stranger": paper(tmp_path, "stranger"), **signed}


@pytest.fixture
def heard(papers: dict[str, Paper]) -> Iterator[Heard]:
    heard, server = Heard(), grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((_Handler(heard),))
    own, trusted = papers["server"], papers["authority"].certificate_path.read_bytes()
    pair = (own.key_path.read_bytes(), own.certificate_path.read_bytes())
    credentials = grpc.ssl_server_credentials([pair], root_certificates=trusted, require_client_auth=True)
    heard.port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield heard
    server.stop(None).wait()


def settings_for(heard: Heard, papers: dict[str, Paper], client: str = "client", **more: Any) -> Settings:
    return load(
        temporal_address=f"127.0.0.1:{heard.port}",
        payload_keys=KEYS,
        temporal_tls_ca=papers["authority"].certificate_path,
        temporal_tls_certificate=papers[client].certificate_path,
        temporal_tls_key=papers[client].key_path,
        **more,
    )


async def test_the_server_sees_our_certificate_and_our_api_key(heard: Heard, papers: dict[str, Paper]) -> None:
    client = await compose.temporal(
        settings_for(heard, papers, temporal_api_key=API_KEY, temporal_tls_server_name="temporal.test")
    )
    assert client.namespace == NAMESPACE
    method, metadata, name = heard.calls[0]
    assert method == "/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo"
    assert metadata["authorization"] == f"Bearer {API_KEY}"
    assert name == "client"


async def test_the_probe_of_doctor_and_up_goes_the_same_way(heard: Heard, papers: dict[str, Paper]) -> None:
    settings = settings_for(heard, papers)
    probe = TemporalProbe(settings.required("temporal_address"), NAMESPACE, temporal_access(settings))
    await probe.retention()
    assert {name for _, _, name in heard.calls} == {"client"}


async def test_without_a_certificate_of_the_authority_nobody_is_heard(heard: Heard, papers: dict[str, Paper]) -> None:
    with pytest.raises(Unavailable):
        await compose.temporal(settings_for(heard, papers, "stranger"))
    with pytest.raises(Unavailable):
        await compose.temporal(load(temporal_address=f"127.0.0.1:{heard.port}", payload_keys=KEYS))
    assert heard.calls == []


async def test_a_server_of_another_authority_is_not_believed(heard: Heard, papers: dict[str, Paper]) -> None:
    believed = {**papers, "authority": papers["stranger"]}
    with pytest.raises(Unavailable):
        await compose.temporal(settings_for(heard, believed))
    assert heard.calls == []


def test_settings_make_the_access(papers: dict[str, Paper]) -> None:
    assert temporal_access(load()) == OPEN
    assert temporal_access(load(temporal_tls=True)).tls is True
    with_key = temporal_access(load(temporal_api_key=API_KEY))
    assert (with_key.tls, with_key.api_key) == (True, API_KEY)  # never in plain
    assert API_KEY not in repr(with_key)
    own = papers["client"]
    full = temporal_access(
        load(temporal_tls_certificate=own.certificate_path, temporal_tls_key=own.key_path, temporal_api_key=API_KEY)
    )
    assert isinstance(full.tls, TLSConfig)
    assert full.tls.client_cert == own.certificate_path.read_bytes()
    assert full.tls.client_private_key == own.key_path.read_bytes()
    assert full.tls.server_root_ca_cert is None  # those of the system
    assert "PRIVATE KEY" not in repr(full)


def test_half_a_pair_and_a_file_that_is_none_are_refused(papers: dict[str, Paper], tmp_path: Path) -> None:
    own = papers["client"]
    with pytest.raises(BadInput, match="PROPOS_TEMPORAL_TLS_KEY is not set"):
        temporal_access(load(temporal_tls_certificate=own.certificate_path))
    with pytest.raises(BadInput, match="PROPOS_TEMPORAL_TLS_CERTIFICATE is not set"):
        temporal_access(load(temporal_tls_key=own.key_path))
    with pytest.raises(BadInput, match="cannot be read"):
        temporal_access(load(temporal_tls_ca=tmp_path / "missing.pem"))
    (tmp_path / "text.pem").write_text("nothing")
    with pytest.raises(BadInput, match="no PEM file"):
        temporal_access(load(temporal_tls_ca=tmp_path / "text.pem"))


def test_a_child_process_gets_the_key_and_not_its_mask() -> None:
    assert load(temporal_api_key=API_KEY).environment()["PROPOS_TEMPORAL_API_KEY"] == API_KEY
