"""Settings -> how people of this firm sign in."""

from domain.approvals import STAFF
from domain.errors import BadInput
from front.access import Access, check_origins
from ports.sign_in import IdentityProvider
from settings import Settings


def build_access(settings: Settings) -> Access:
    """Raises BadInput for a role, an origin or a provider that cannot be."""
    roles = frozenset(_listed(settings.factor_roles))
    if unknown := roles - STAFF:
        raise BadInput(
            f"PROPOS_FACTOR_ROLES: there is no staff role {', '.join(sorted(unknown))}.",
            field="PROPOS_FACTOR_ROLES",
            remedy=f"Use {', '.join(sorted(STAFF))}, separated by commas.",
        )
    rp_id, origins = settings.passkey_rp_id or "", _listed(settings.passkey_origins)
    check_origins(rp_id, origins)
    return Access(
        step_up=settings.step_up, factor_roles=roles, rp_id=rp_id, origins=origins, provider=_provider(settings)
    )


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _provider(settings: Settings) -> IdentityProvider | None:
    """The secret leaves the process in every sign-in, so it goes over https, except to this machine."""
    issuer = settings.oidc_issuer
    if issuer is None:
        return None
    if not issuer.startswith(("https://", "http://localhost:", "http://127.0.0.1:")):
        raise BadInput("PROPOS_OIDC_ISSUER must start with https://.", field="PROPOS_OIDC_ISSUER")
    from adapters.sign_in.oidc import OidcProvider  # few firms have one, and its libraries are large

    return OidcProvider(
        issuer=issuer,
        client_id=settings.required("oidc_client_id"),
        client_secret=settings.required("oidc_client_secret"),
        label=settings.oidc_label,
    )
