"""Who may call from a browser: the allow-list of origins, and requests that a foreign page could have forged."""

from collections.abc import Callable, Collection, Mapping

from engine.negotiation import accepted, content
from engine.wire import Fields

PREFLIGHT_HEADERS = ("x-apollo-operation-name", "apollo-require-preflight", "graphql-require-preflight")
_SIMPLE_TYPES = ("", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain")


class Origins:
    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(origin.rstrip("/") for origin in allowed)

    def listed(self, headers: Mapping[str, str]) -> str | None:
        """The request's Origin, if it is on the list."""
        origin = headers.get("origin")
        return origin if origin in self._allowed else None

    def foreign(self, headers: Mapping[str, str]) -> bool:
        """Whether a browser says that a page of another origin, not on the list, is behind the request.

        Behind a proxy that ends TLS the scheme differs, so hosts are compared.
        """
        origin = headers.get("origin")
        if origin is not None:
            return origin not in self._allowed and origin.partition("://")[2] != headers.get("host")
        return headers.get("sec-fetch-site") in ("cross-site", "same-site")

    def forgeable(self, headers: Fields, hashed: Callable[[], bool]) -> bool:
        """Whether a foreign page could have caused this GET with a link, an image or a script (CSRF).

        What proves that it could not: a header or content type that costs a preflight; a browser's own word; an
        Accept that names a media type of ours, which no such element sends; the hash of a persisted query, whose
        sender knows our clients' documents. A foreign origin outweighs the last three.
        """
        content_type, _ = content(headers.raw.get(b"content-type", b""))
        if any(name in headers for name in PREFLIGHT_HEADERS) or content_type not in _SIMPLE_TYPES:
            return False
        if self.foreign(headers):
            return True
        if headers.get("sec-fetch-mode") == "cors" or headers.get("sec-fetch-site") in ("same-origin", "none"):
            return False
        return not accepted(headers.raw.get(b"accept", b"")).named and not hashed()
