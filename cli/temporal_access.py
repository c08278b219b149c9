"""How the processes of this firm reach its Temporal server, from the settings."""

from relay.temporal import Access, access
from settings import Settings


def temporal_access(settings: Settings) -> Access:
    """Returns how this firm reaches its Temporal server. Raises BadInput."""
    return access(
        tls=settings.temporal_tls,
        authorities=settings.temporal_tls_ca,
        certificate=settings.temporal_tls_certificate,
        key=settings.temporal_tls_key,
        server_name=settings.temporal_tls_server_name,
        api_key=None if settings.temporal_api_key is None else settings.temporal_api_key.get_secret_value(),
    )
