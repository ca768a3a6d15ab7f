"""Reads and changes of the library of sensitive words (敏感字库, R-ADM-03)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from strawberry import ID

from auth.viewer import Viewer
from auth.visibility import visible
from kit.errors import Refused
from kit.ids import key_of
from models.base import table_of
from models.refusals import Refusal
from models.words import SensitiveException, SensitiveWord
from resolvers.context import Info, write
from resolvers.filters import Filters, one_of, text_in, where
from resolvers.job import import_file
from resolvers.listings import Listing
from resolvers.paging import Order
from services import words

W = table_of(SensitiveWord).c
E = table_of(SensitiveException).c

WORDS = Order("words", (W.id,), descending=True)
EXCEPTIONS = Order("exceptions", (E.id,), descending=True)

WORD_FILTERS: Filters = {
    "keyword": text_in(W.word, W.suggestion),
    "categories": one_of(W.category),
    "severities": one_of(W.severity),
    "enabled": lambda enabled: W.enabled == enabled,
}
EXCEPTION_FILTERS: Filters = {"keyword": text_in(E.phrase)}


def sensitive_word_library(viewer: Viewer, filter: Mapping[str, Any] | None = None) -> Listing:
    """The words that publishing forms point out, added last first (敏感字库)."""
    return Listing(visible(SensitiveWord, viewer).where(*where(WORD_FILTERS, filter)), WORDS)


def sensitive_exceptions(viewer: Viewer, filter: Mapping[str, Any] | None = None) -> Listing:
    """The phrases in which sensitive words are harmless, added last first (例外词)."""
    return Listing(visible(SensitiveException, viewer).where(*where(EXCEPTION_FILTERS, filter)), EXCEPTIONS)


def _key(text: str, kind: str) -> UUID:
    key = key_of(text, kind)
    if key is None:
        raise Refused(Refusal.NOT_FOUND, ["id"])
    return key


async def sensitive_word_save(info: Info, id: str | None = None, **values: Any) -> Any:
    """Adds a word to the library, or changes one (敏感字采集与修改)."""
    target = _key(id, "sensitive_word") if id is not None else None
    async with write(info) as uow:
        key = await words.save_word(uow, target, values)
    return await info.context.load.sensitive_word.load(key)


async def sensitive_word_import(info: Info, file_id: str) -> Any:
    """Adds the words of an uploaded file and changes those that are there; follow it by `jobProgress` (导入敏感字)."""
    return await import_file(info, "sensitive_word_import", file_id)


async def sensitive_word_delete(info: Info, id: str) -> ID:
    """Takes a word out of the library (删除敏感字)."""
    key = _key(id, "sensitive_word")
    async with write(info) as uow:
        await words.delete_word(uow, key)
    return ID(id)


async def sensitive_exception_save(info: Info, id: str | None = None, **values: Any) -> Any:
    """Adds a phrase in which words are harmless, or changes one (例外词维护)."""
    target = _key(id, "sensitive_exception") if id is not None else None
    async with write(info) as uow:
        key = await words.save_exception(uow, target, values)
    return await info.context.load.sensitive_exception.load(key)


async def sensitive_exception_delete(info: Info, id: str) -> ID:
    """Takes an exception out of the library (删除例外词)."""
    key = _key(id, "sensitive_exception")
    async with write(info) as uow:
        await words.delete_exception(uow, key)
    return ID(id)
