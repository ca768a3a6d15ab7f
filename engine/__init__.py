"""The GraphQL server itself. It knows no domain: it reads field metadata and is handed its stores."""

from engine.cache import ResponseCache
from engine.limits import Limits
from engine.persisted import PersistedStore, RedisPersistedStore
from engine.pipeline import Finished, RequestInfo
from engine.server import Engine

__all__ = ["Engine", "Finished", "Limits", "PersistedStore", "RedisPersistedStore", "RequestInfo", "ResponseCache"]
