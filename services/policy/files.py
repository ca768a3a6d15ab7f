"""Files of policies: what form they have, what their rows say, and the list of what was wrong with them (R-POL-02)."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kit.excel import BadFile, read_rows
from services import imports
from services.imports import Report
from services.policy.importing import import_policies
from services.policy.records import COLUMNS, from_cells, from_record

__all__ = ["BadFile", "Report", "import_policies", "problems_csv", "read"]


def read(name: str, content: bytes) -> Sequence[tuple[int, Mapping[str, Any]]]:
    """Numbered rows of a `.jsonl` or `.xlsx` file as raw values; raises `BadFile` for one that cannot be read."""
    if name.lower().endswith(".xlsx"):
        return [(number, from_cells(cells)) for number, cells in read_rows(content, COLUMNS)]
    if name.lower().endswith((".jsonl", ".ndjson")):
        return [(number, from_record(_record(number, line))) for number, line in _lines(content)]
    raise BadFile("只能导入 .jsonl 或 .xlsx 文件", "only .jsonl and .xlsx files are imported")


def _lines(content: bytes) -> list[tuple[int, bytes]]:
    lines = content.removeprefix(b"\xef\xbb\xbf").splitlines()
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _record(number: int, line: bytes) -> Mapping[str, Any]:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadFile(f"第 {number} 行不是 JSON", f"line {number} is not JSON", row=number) from error
    if not isinstance(record, dict):
        raise BadFile(f"第 {number} 行不是 JSON 对象", f"line {number} is not a JSON object", row=number)
    return record


def problems_csv(report: Report) -> str:
    """The problems as a table: row, column, grade, reason."""
    return imports.problems_csv(report, COLUMNS)
