"""The library of sensitive words (敏感字库) and its exceptions (R-ADM-03)."""

from pydantic import field_validator
from sqlmodel import Field

from kit.words import Severity, normalise
from models.base import Row, Values, choice


def _findable(text: str) -> str:
    """Refuses what has no form to compare by: such a word would never be found."""
    if not normalise(text):
        raise ValueError("须包含文字或数字 (it must hold a letter, a digit or a character)")
    return text


class SensitiveWordValues(Values):
    """What an administrator enters of a word."""

    word: str = Field(min_length=1, max_length=50, unique=True, description="The word (敏感字)")
    category: str = Field(min_length=1, max_length=50, description="Category, such as 广告法绝对化用语 (类别)")
    severity: Severity = Field(sa_type=choice(Severity, "severity"), description="WARN or BLOCK (级别)")
    suggestion: str = Field(default="", max_length=100, description="What to write instead (替换建议)")
    enabled: bool = Field(default=True, description="Whether it is looked for (启用)")

    _findable = field_validator("word")(_findable)


class SensitiveWord(SensitiveWordValues, Row, table=True):
    """A word that publishing forms point out (敏感字)."""

    __tablename__ = "sensitive_word"


class SensitiveExceptionValues(Values):
    """What an administrator enters of an exception."""

    phrase: str = Field(min_length=2, max_length=50, unique=True, description="The phrase (例外词)")

    _findable = field_validator("phrase")(_findable)


class SensitiveException(SensitiveExceptionValues, Row, table=True):
    """A phrase inside which a sensitive word is harmless, such as 最高人民法院 (例外)."""

    __tablename__ = "sensitive_exception"
