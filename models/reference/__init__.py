"""Reference data as CSV, one file a table; `SOURCES.md` says where each came from and how it was checked."""

import csv
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@cache
def rows(name: str) -> list[dict[str, str]]:
    """The rows of `<name>.csv` by column, read once; callers share them and change nothing.

    Raises FileNotFoundError for a table that is not there.
    """
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
