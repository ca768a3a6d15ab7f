"""The page that a browser finds at `/graphql`."""

from collections.abc import Callable
from urllib.parse import parse_qs

from engine.negotiation import HTML
from engine.wire import Reply

Page = Callable[[], bytes | None]

RETRY_SECONDS = 3
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
FRAMING = (("content-security-policy", POLICY), ("referrer-policy", "same-origin"))
BEING_BUILT = f"""<!doctype html>
<html lang="zh-CN"><meta charset="utf-8"><meta http-equiv="refresh" content="{RETRY_SECONDS}"><title>GraphiQL</title>
<body style="font:16px/1.6 system-ui,sans-serif;margin:4rem auto;max-width:34rem">
<h1>GraphiQL is being built</h1><p>This page reloads by itself. The API answers meanwhile.</p>
<p lang="zh-CN">GraphiQL 正在构建，本页会自动刷新；接口此时已可使用。</p></body></html>
""".encode()


def asked_for(query_string: bytes) -> bool:
    """Whether a GET that wants HTML asks for no operation."""
    return not {b"query", b"extensions"} & parse_qs(query_string, keep_blank_values=True).keys()


async def show(reply: Reply, page: bytes | None) -> None:
    """`page` is None while it is being built: the browser is told to come back."""
    headers = FRAMING if page is not None else (*FRAMING, ("retry-after", str(RETRY_SECONDS)))
    await reply.whole(200 if page is not None else 503, f"{HTML}; charset=utf-8", page or BEING_BUILT, headers)
