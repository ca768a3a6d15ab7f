"""The library of sensitive words (敏感字库) and its exceptions (R-ADM-03)."""

from sqlmodel import Field

from kit.words import Severity
from models.base import Row, choice


class SensitiveWord(Row, table=True):
    """A word that publishing forms point out (敏感字)."""

    __tablename__ = "sensitive_word"

    word: str = Field(min_length=1, max_length=50, unique=True, description="The word (敏感字)")
    category: str = Field(max_length=50, description="Category, such as 广告法极限词 (类别)")
    severity: Severity = Field(sa_type=choice(Severity, "severity"), description="WARN or BLOCK (级别)")
    suggestion: str = Field(default="", max_length=100, description="What to write instead (替换建议)")
    enabled: bool = Field(default=True, description="Whether it is looked for (启用)")


class SensitiveException(Row, table=True):
    """A phrase inside which a sensitive word is harmless, such as 最高人民法院 (例外)."""

    __tablename__ = "sensitive_exception"

    phrase: str = Field(min_length=2, max_length=50, unique=True, description="The phrase (例外词)")
