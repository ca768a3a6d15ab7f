"""What an import of rows did, and what was wrong with them: shared by every import (R-POL-02, R-ADM-03, R-ADM-13)."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from kit.excel import Column
from kit.validation import explain


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row: `column` is the field's name in the data dictionary."""

    row: int
    column: str
    zh: str
    en: str


@dataclass(slots=True)
class Report:
    """What an import did. `unchanged` rows were there already, word for word."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.created + self.changed + self.unchanged + len({problem.row for problem in self.errors})


def problems_of(row: int, error: ValidationError) -> Iterator[Problem]:
    """Pydantic's findings about a row, one for each column at fault."""
    for problem in error.errors(include_url=False):
        yield Problem(row, ".".join(str(part) for part in problem["loc"]) or "*", *explain(problem))


def problems_csv(report: Report, columns: Sequence[Column]) -> str:
    """The problems as a table: row, column, grade, reason."""
    titles = {column.key: column.title_zh for column in columns}
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["行 row", "列 column", "级别 grade", "原因", "reason"])
    for grade, problems in (("错误 error", report.errors), ("提示 warning", report.warnings)):
        for problem in problems:
            title = titles.get(problem.column, "")
            writer.writerow([problem.row, f"{title} {problem.column}".strip(), grade, problem.zh, problem.en])
    return out.getvalue()
