"""Bounds on what one request may ask for. All are checked before anything runs."""

from dataclasses import dataclass

from kit.errors import ApiError, ErrorCode

LARGEST_REPORTED = 10**9  # what exponential fragments would cost has too many digits for JSON


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request of an honest client stays far below.

    `body`, `message`: bytes. `source`: characters of a document. `*_seconds`: seconds. `fields`, `aliases`,
    `directives` and `root_fields` count after fragments are expanded, so a fragment spread twice counts twice.
    `depth`: levels of fields; below `__schema` and `__type` `introspection_depth` holds instead, since the standard
    introspection query is 15 deep. `cost`: see `engine/cost.py`; `list_size` is assumed of a list that declares none.
    """

    body: int = 1 << 20
    body_seconds: float = 10.0
    source: int = 100_000
    tokens: int = 2_000
    comments: int = 200
    depth: int = 12
    introspection_depth: int = 20
    aliases: int = 30
    directives: int = 50
    root_fields: int = 20
    fields: int = 500
    cost: int = 20_000
    list_size: int = 10
    representations: int = 100
    errors: int = 10
    message: int = 1 << 20
    init_seconds: float = 3.0
    concurrent: int = 50
    keep_alive_seconds: float = 12.0


_NOUNS = {
    "source": ("characters of the document", "文档字符数"),
    "tokens": ("tokens", "词元数"),
    "comments": ("comments", "注释数"),
    "depth": ("depth", "嵌套深度"),
    "aliases": ("aliases", "别名数"),
    "directives": ("directives", "指令数"),
    "root_fields": ("root fields", "根字段数"),
    "fields": ("fields", "字段数"),
    "cost": ("cost", "查询成本"),
    "representations": ("representations", "实体引用数"),
}


def exceeded(limit: str, maximum: int, value: int | None = None) -> ApiError:
    """COST_EXCEEDED, naming the limit. `value` is absent where counting stopped at the limit."""
    noun, chinese = _NOUNS[limit]
    extensions: dict[str, int] = {"max": maximum}
    if value is not None:
        extensions["value"] = min(value, LARGEST_REPORTED)
    found = f"{extensions['value']}, " if value is not None else ""
    message = (
        f"The operation exceeds the limit of {noun}: {found}at most {maximum} (操作超过上限：{chinese}最多 {maximum})"
    )
    return ApiError(ErrorCode.COST_EXCEEDED, message, limit=limit, **extensions)
