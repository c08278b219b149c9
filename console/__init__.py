"""The operators' web UI: server-rendered pages, plain forms, small scripts."""

from console.app import error_page, router

__all__ = ["error_page", "router"]
