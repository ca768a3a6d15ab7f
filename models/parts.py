"""Small values that several kinds of content hold inside a JSON column."""

from typing import Any

from pydantic import ConfigDict
from sqlmodel import Field, SQLModel

WEB_ADDRESS: dict[str, Any] = {"pattern": r"^https?://\S+$"}
FILE_ADDRESS: dict[str, Any] = {"pattern": r"^(https?://|/files/)\S+$"}
LINK_ADDRESS: dict[str, Any] = {"pattern": r"^(https?://\S+|/([^/\s]\S*)?)$"}
"""Where links may lead, for `schema_extra`: SQLModel drops its own `regex=`. No script, no other site in disguise."""


class Part(SQLModel):
    """A value without a life of its own; kept as JSON within its owner's row."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)  # type: ignore[assignment]


class Attachment(Part):
    """A file that can be downloaded (附件)."""

    name: str = Field(min_length=1, max_length=200, description="File name (文件名)")
    url: str = Field(schema_extra=FILE_ADDRESS, max_length=1000, description="Where it is (地址)")
    content_type: str = Field(default="application/octet-stream", max_length=100, description="Media type (文件类型)")
    size: int | None = Field(default=None, ge=0, description="Bytes (字节数)")
