"""The library of sensitive words (敏感字库), for those who keep it (R-ADM-03)."""

from datetime import datetime

import strawberry

import models
from kit.words import Severity
from resolvers import words as resolvers
from resolvers.loaders import Loaders
from schema.acts import mutation
from schema.base import ID, Connection, Node, connection, entity
from schema.job import Job
from schema.values import values_input


@entity(models.SensitiveWord, Loaders.sensitive_word)
class SensitiveWord(Node):
    """A word that publishing forms point out (敏感字)."""

    word: str
    category: str
    severity: Severity
    suggestion: str
    enabled: bool
    created_at: datetime
    updated_at: datetime


@entity(models.SensitiveException, Loaders.sensitive_exception)
class SensitiveException(Node):
    """A phrase in which sensitive words are harmless, such as 最高人民法院 (例外词)."""

    phrase: str
    created_at: datetime
    updated_at: datetime


@strawberry.input
class SensitiveWordFilter:
    """Which words to keep (敏感字筛选). Several values of one filter widen it, several filters narrow it."""

    keyword: str | None = strawberry.field(default=None, description="Text in word or suggestion (关键词)")
    categories: list[str] | None = strawberry.field(default=None, description="Categories (类别)")
    severities: list[Severity] | None = strawberry.field(default=None, description="What they do (级别)")
    enabled: bool | None = strawberry.field(default=None, description="Whether they are looked for (启用)")


@strawberry.input
class SensitiveExceptionFilter:
    """Which exceptions to keep (例外词筛选)."""

    keyword: str | None = strawberry.field(default=None, description="Text in the phrase (关键词)")


@values_input(models.SensitiveWordValues)
class SensitiveWordSaveInput:
    """A word as it is to stand in the library (敏感字存储)."""

    id: ID | None = strawberry.field(default=strawberry.UNSET, description="The word; left out: a new one (敏感字)")


@strawberry.input
class SensitiveWordImportInput:
    """Which uploaded file of words to import (导入敏感字)."""

    file_id: ID = strawberry.field(
        description="The file, .xlsx by the template /templates/words.xlsx, from POST /files (文件)"
    )


@strawberry.input
class SensitiveWordDeleteInput:
    """Which word to take out (删除敏感字)."""

    id: ID = strawberry.field(description="The word (敏感字)")


@values_input(models.SensitiveExceptionValues)
class SensitiveExceptionSaveInput:
    """A phrase as it is to stand in the library (例外词存储)."""

    id: ID | None = strawberry.field(default=strawberry.UNSET, description="The phrase; left out: a new one (例外词)")


@strawberry.input
class SensitiveExceptionDeleteInput:
    """Which exception to take out (删除例外词)."""

    id: ID = strawberry.field(description="The phrase (例外词)")


@strawberry.type
class Query:
    sensitive_word_library: Connection[SensitiveWord] = connection(
        resolvers.sensitive_word_library, filter=SensitiveWordFilter, access="words.read"
    )
    sensitive_exceptions: Connection[SensitiveException] = connection(
        resolvers.sensitive_exceptions, filter=SensitiveExceptionFilter, access="words.read"
    )


@strawberry.type
class Mutation:
    sensitive_word_save = mutation(
        resolvers.sensitive_word_save, SensitiveWordSaveInput, access="words.write", word=SensitiveWord
    )
    sensitive_word_import = mutation(
        resolvers.sensitive_word_import, SensitiveWordImportInput, access="words.write", job=Job
    )
    sensitive_word_delete = mutation(
        resolvers.sensitive_word_delete, SensitiveWordDeleteInput, access="words.write", deleted_id=ID
    )
    sensitive_exception_save = mutation(
        resolvers.sensitive_exception_save,
        SensitiveExceptionSaveInput,
        access="words.write",
        exception=SensitiveException,
    )
    sensitive_exception_delete = mutation(
        resolvers.sensitive_exception_delete, SensitiveExceptionDeleteInput, access="words.write", deleted_id=ID
    )
