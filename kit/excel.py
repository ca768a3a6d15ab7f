"""Excel files, in and out: templates to fill in, imports that name the cell at fault, exports of any length."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from io import BytesIO
from math import isfinite
from typing import cast
from zipfile import BadZipFile, ZipFile

from openpyxl import Workbook, load_workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.cell.cell import ERROR_CODES
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from kit.clock import SHANGHAI
from kit.errors import EscError

MAX_FILE_BYTES = 20 * 1024 * 1024
MAX_UNPACKED_BYTES = 100 * 1024 * 1024
MAX_PARTS = 500
MAX_ROWS = 20_000
MAX_COLUMNS = 100
MAX_CELL_CHARACTERS = 32_767
_LAST_ROW = 1_048_576
_EXACT_INTEGERS = 10**15
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CUT = "…（已截断 truncated）"
_HEADER_FONT = Font(bold=True)
_HEADER_FILL = PatternFill("solid", fgColor="DDE7F3")
_HELP_FONT = Font(italic=True, color="666666")
_WRAP = Alignment(wrap_text=True, vertical="top")


class BadFile(EscError):
    """A file that cannot be read, and where: `row` counts from 1, `column` is a letter as Excel shows it."""

    def __init__(self, message_zh: str, message_en: str, row: int | None = None, column: str | None = None) -> None:
        super().__init__(f"{message_zh} ({message_en})")
        self.message_zh = message_zh
        self.message_en = message_en
        self.row = row
        self.column = column


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a sheet; `key` is its name in the rows, `width` in characters, `choices` what Excel offers."""

    key: str
    title_zh: str
    title_en: str
    help: str = ""
    example: str = ""
    width: int = 20
    choices: Sequence[str] = ()

    @property
    def title(self) -> str:
        return f"{self.title_zh}\n{self.title_en}"

    @property
    def hint(self) -> str:
        """What the template's second row says."""
        example = f"例 e.g. {self.example}" if self.example else ""
        return "\n".join(part for part in (self.help, example) if part)


def read_sheet(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Rows of the first visible sheet that are not blank, with their numbers, each cell as text.

    A formula gives the value that Excel stored with it, a day `2024-05-01`, a number its 15 significant digits. Raises
    BadFile for anything but an .xlsx within the limits, for a formula's error and for a number too long to be exact.
    """
    _require_safe_archive(data)
    try:
        yield from _rows(data)
    except BadFile:
        raise
    except Exception as broken:
        raise BadFile("文件已损坏，无法读取", "the file is damaged and cannot be read") from broken


def _require_safe_archive(data: bytes) -> None:
    """Refuses archives that unpack to more than the limits; zipfile itself never unpacks more than a part declares."""
    if len(data) > MAX_FILE_BYTES:
        raise BadFile(
            f"文件超过 {MAX_FILE_BYTES // 1024**2} MB", f"the file is larger than {MAX_FILE_BYTES // 1024**2} MB"
        )
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise BadFile(
            "文件是旧版 .xls 或已加密，请另存为 .xlsx", "the file is an old .xls or encrypted; save it as .xlsx"
        )
    try:
        with ZipFile(BytesIO(data)) as archive:
            parts = archive.infolist()
    except (BadZipFile, OSError, ValueError, NotImplementedError) as broken:
        raise BadFile("文件不是 .xlsx 格式", "the file is not an .xlsx") from broken
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
        raise BadFile("文件解压后过大", "the file unpacks to too much data")


def _rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    workbook = load_workbook(BytesIO(data), read_only=True, data_only=True, keep_links=False)
    try:
        sheet = next(sheet for sheet in workbook.worksheets if sheet.sheet_state == "visible")
        sheet.reset_dimensions()
        count = 0
        cells = sheet.iter_rows(max_row=_LAST_ROW, max_col=MAX_COLUMNS, values_only=True)
        for number, values in enumerate(cells, 1):
            if set(values) <= {None, ""}:
                continue
            count += 1
            if count > MAX_ROWS:
                raise BadFile(f"数据超过 {MAX_ROWS} 行", f"there are more than {MAX_ROWS} rows", number)
            yield number, [_text(value, number, index) for index, value in enumerate(values, 1)]
    finally:
        workbook.close()


def _text(value: object, row: int, index: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return _number(value, row, index)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    text = str(value).strip()
    if text in ERROR_CODES:
        raise BadFile(f"公式出错：{text}", f"a formula failed: {text}", row, get_column_letter(index))
    return text


def _number(value: float, row: int, index: int) -> str:
    if abs(value) >= _EXACT_INTEGERS:
        raise BadFile(
            "数字超过 15 位，Excel 已丢失精度，请将单元格设为文本后重新填写",
            "Excel keeps 15 digits of a number; set the cell to text and enter it again",
            row,
            get_column_letter(index),
        )
    return format(Decimal(f"{value:.15g}"), "f")


def read_rows(data: bytes, columns: Sequence[Column]) -> Iterator[tuple[int, dict[str, str]]]:
    """Row numbers and texts by key. The first row that is not blank names the columns, in any order and language.

    Columns that the file lacks are missing from the rows, blank cells are empty texts. The template's row of hints is
    passed over. Raises BadFile for a title that no column has, that comes twice, or that is missing above data.
    """
    sheet = read_sheet(data)
    header = next(sheet, None)
    if header is None:
        raise BadFile("表格没有内容", "the sheet is empty")
    keys = _keys(header, columns)
    hints = {column.key: _matchable(column.hint) for column in columns}
    for number, cells in sheet:
        row = {key: cell for key, cell in zip(keys, cells, strict=True) if key}
        if number == header[0] + 1 and all(not text or _matchable(text) == hints[key] for key, text in row.items()):
            continue
        for index, (key, cell) in enumerate(zip(keys, cells, strict=True), 1):
            if cell and not key:
                raise BadFile(
                    "数据所在的列没有标题", "a column with data has no title", number, get_column_letter(index)
                )
        yield number, row


def _keys(header: tuple[int, list[str]], columns: Sequence[Column]) -> list[str]:
    """The key of each of the sheet's columns, empty where it has no title."""
    number, titles = header
    known = {
        _matchable(name): column.key for column in columns for name in (column.title_zh, column.title_en, column.key)
    }
    keys: list[str] = []
    for index, title in enumerate(titles, 1):
        found = [known[part] for part in map(_matchable, [title, *title.splitlines()]) if part in known]
        place = number, get_column_letter(index)
        if title and not found:
            raise BadFile(f"没有名为“{title}”的列", f"there is no column “{title}”", *place)
        if found and found[0] in keys:
            raise BadFile(f"“{title}”列重复", f"the column “{title}” comes twice", *place)
        keys.append(found[0] if found else "")
    return keys


def _matchable(title: str) -> str:
    return "".join(unicodedata.normalize("NFKC", title).casefold().split()).rstrip("*")


def write_template(columns: Sequence[Column]) -> bytes:
    """An .xlsx to fill in: titles and hints that stay in sight, choices to pick from, and a sheet of instructions.

    All cells are text, so that Excel leaves document numbers, codes and dates as they are typed.
    """
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    sheet.title = "数据 Data"
    guide = workbook.create_sheet("填写说明 Guide")
    lists = workbook.create_sheet("choices")
    lists.sheet_state = "hidden"
    _write_guide(guide, columns)
    for index, column in enumerate(columns, 1):
        letter = get_column_letter(index)
        sheet.column_dimensions[letter].width = column.width
        sheet.column_dimensions[letter].number_format = "@"
        _as_header(_put(sheet, 1, index, column.title))
        hint = _put(sheet, 2, index, column.hint)
        hint.font, hint.alignment = _HELP_FONT, _WRAP
        if column.choices:
            for row, choice in enumerate(column.choices, 1):
                _put(lists, row, index, choice)
            rule = DataValidation("list", formula1=f"=choices!${letter}$1:${letter}${len(column.choices)}")
            rule.showErrorMessage = True
            rule.add(f"{letter}3:{letter}{MAX_ROWS}")
            sheet.add_data_validation(rule)
    sheet.freeze_panes = "A3"
    return _saved(workbook)


def _write_guide(sheet: Worksheet, columns: Sequence[Column]) -> None:
    titles = ("列\nColumn", "英文\nEnglish", "说明\nHelp", "示例\nExample", "可选值\nChoices")
    for index, title in enumerate(titles, 1):
        sheet.column_dimensions[get_column_letter(index)].width = 30
        _as_header(_put(sheet, 1, index, title))
    for row, column in enumerate(columns, 2):
        choices = "、".join(column.choices)
        for index, text in enumerate((column.title_zh, column.title_en, column.help, column.example, choices), 1):
            _put(sheet, row, index, text).alignment = _WRAP
    sheet.freeze_panes = "A2"


def _put(sheet: Worksheet, row: int, index: int, text: str) -> Cell:
    cell = cast("Cell", sheet.cell(row, index))
    _set_text(cell, text)
    return cell


def _as_header(cell: Cell) -> None:
    cell.font, cell.fill, cell.alignment = _HEADER_FONT, _HEADER_FILL, _WRAP


def _set_text(cell: Cell, text: str) -> None:
    """Text that Excel never runs as a formula, not even after the cell is edited (OWASP, CSV injection)."""
    text = _UNWRITABLE.sub("", text)
    if len(text) > MAX_CELL_CHARACTERS:
        text = text[: MAX_CELL_CHARACTERS - len(_CUT)] + _CUT
    cell.value = text
    cell.data_type = "s"
    cell.number_format = "@"
    if text.startswith(_FORMULA_STARTS):
        cell.quotePrefix = True


def write_rows(columns: Sequence[Column], rows: Iterable[Mapping[str, object]]) -> bytes:
    """An .xlsx of one sheet, written row by row, so that only the packed file is held in memory.

    Numbers and days keep their types, moments are shown in Shanghai's time, all else is text. A text that is longer
    than a cell can hold is cut, visibly. Raises BadFile for more rows than a sheet has.
    """
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet("数据 Data")
    sheet.freeze_panes = "A2"
    for index, column in enumerate(columns, 1):
        sheet.column_dimensions[get_column_letter(index)].width = column.width
    header = [_cell(sheet, column.title) for column in columns]
    for cell in header:
        _as_header(cell)
    sheet.append(header)
    for number, row in enumerate(rows, 2):
        if number > _LAST_ROW:
            raise BadFile("超出 Excel 的最大行数", "there are more rows than Excel can hold")
        sheet.append([_cell(sheet, row.get(column.key)) for column in columns])
    return _saved(workbook)


def _cell(sheet: Worksheet, value: object) -> Cell:
    cell: Cell = WriteOnlyCell(sheet)
    if isinstance(value, datetime):
        local = value.astimezone(SHANGHAI) if value.tzinfo else value
        cell.value = local.replace(tzinfo=None)
    elif isinstance(value, date | bool) or (isinstance(value, int | float | Decimal) and _exact(value)):
        cell.value = value
    elif value is not None:
        _set_text(cell, str(value))
    return cell


def _exact(number: float | Decimal) -> bool:
    """Whether Excel, which keeps 15 digits, shows the number as it is."""
    return isfinite(number) and abs(float(number)) < _EXACT_INTEGERS


def _saved(workbook: Workbook) -> bytes:
    stream = BytesIO()
    workbook.save(stream)
    return stream.getvalue()
