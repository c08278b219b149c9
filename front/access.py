"""How people of this firm sign in and prove themselves: what the composition root reads from the settings."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from domain.errors import BadInput, Unavailable
from ports.sign_in import IdentityProvider


@dataclass(frozen=True)
class Access:
    """`step_up`: whether staff prove themselves anew before what is guarded. `factor_roles`: roles that need a second
    factor. `rp_id` and `origins`: of passkeys; empty: those of the public URL. `provider`: signs staff in; None: nobody
    but us."""

    step_up: bool = True
    factor_roles: frozenset[str] = field(default_factory=frozenset)
    rp_id: str = ""
    origins: tuple[str, ...] = ()
    provider: IdentityProvider | None = None


@dataclass(frozen=True)
class RelyingParty:
    """What passkeys are bound to: a host name, and the exact origins of our pages."""

    id: str
    origins: tuple[str, ...]


def relying_party(access: Access, public_url: str) -> RelyingParty:
    """Raises Unavailable where passkeys cannot work: browsers bind them to a host name, never to an address."""
    url = urlsplit(public_url)
    host = access.rp_id or url.hostname or ""
    if _is_address(host):
        raise Unavailable(
            f"Passkeys need a host name, and this firm is reached at {host}.",
            remedy="Set PROPOS_PUBLIC_URL to a name, such as http://localhost:8000, and open the console there.",
        )
    return RelyingParty(host, access.origins or (f"{url.scheme}://{url.netloc}",))


def passkeys_work(access: Access, public_url: str) -> bool:
    try:
        relying_party(access, public_url)
    except Unavailable:
        return False
    return True


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return not host
    return True


def check_origins(rp_id: str, origins: tuple[str, ...]) -> None:
    """Raises BadInput for an origin that is not one, or that does not belong to `rp_id`."""
    for origin in origins:
        url = urlsplit(origin)
        host = url.hostname or ""
        if url.scheme not in ("https", "http") or origin != f"{url.scheme}://{url.netloc}":
            raise BadInput(
                f"{origin} is not an origin.",
                field="PROPOS_PASSKEY_ORIGINS",
                remedy="Write scheme and host, such as https://desk.example.com.",
            )
        if rp_id and host != rp_id and not host.endswith(f".{rp_id}"):
            raise BadInput(
                f"{origin} does not belong to {rp_id}.",
                field="PROPOS_PASSKEY_ORIGINS",
                remedy="PROPOS_PASSKEY_RP_ID is the host of every origin, or a domain that all of them share.",
            )
