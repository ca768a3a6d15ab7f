"""Excel files in and out (`kit/excel.py`; R-POL-02)."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from itertools import pairwise
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from kit import excel
from kit.excel import BadFile, Column, read_rows, read_sheet, write_rows, write_template

COLUMNS = (
    Column("title", "标题", "Title", "必填，2 至 300 字", "关于支持中小企业发展的通知", 40),
    Column("document_no", "文号", "Document number", example="沪府规〔2024〕5号"),
    Column("level", "层级", "Level", "从列表中选择", choices=("国家", "市", "区")),
    Column("issued_on", "发布日期", "Issued on"),
)
UNWRITABLE = {"\ufffe", "\uffff", *map(chr, range(0xD800, 0xE000))}
SHEET = "xl/worksheets/sheet1.xml"


def book(*rows: tuple[Any, ...], **cells: Any) -> bytes:
    """A workbook with the rows given, then single cells by their address."""
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    for row in rows:
        sheet.append(row)
    for address, value in cells.items():
        sheet[address] = value
    stream = BytesIO()
    workbook.save(stream)
    return stream.getvalue()


def repacked(data: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    stream = BytesIO()
    with ZipFile(BytesIO(data)) as old, ZipFile(stream, "w", ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    return stream.getvalue()


def refusal(rows: Iterator[Any]) -> tuple[str, str, int | None, str | None]:
    with pytest.raises(BadFile) as caught:
        list(rows)
    return caught.value.message_zh, caught.value.message_en, caught.value.row, caught.value.column


def test_an_empty_template_has_no_rows() -> None:
    assert list(read_rows(write_template(COLUMNS), COLUMNS)) == []


def test_a_filled_template_gives_its_rows_with_their_numbers() -> None:
    workbook = load_workbook(BytesIO(write_template(COLUMNS)))
    sheet = workbook.worksheets[0]
    sheet["A3"], sheet["B3"], sheet["C3"] = "甲通知", "沪府规〔2024〕5号", "市"
    sheet["A5"], sheet["D5"] = "乙通知", datetime(2024, 5, 1)  # noqa: DTZ001 - Excel has no time zones
    stream = BytesIO()
    workbook.save(stream)
    assert list(read_rows(stream.getvalue(), COLUMNS)) == [
        (3, {"title": "甲通知", "document_no": "沪府规〔2024〕5号", "level": "市", "issued_on": ""}),
        (5, {"title": "乙通知", "document_no": "", "level": "", "issued_on": "2024-05-01"}),
    ]


def test_a_template_explains_itself_and_offers_choices() -> None:
    workbook = load_workbook(BytesIO(write_template(COLUMNS)))
    data, guide, choices = workbook.worksheets
    assert (data.title, guide.title, choices.sheet_state) == ("数据 Data", "填写说明 Guide", "hidden")
    assert [cell.value for cell in data[1]] == [
        "标题\nTitle",
        "文号\nDocument number",
        "层级\nLevel",
        "发布日期\nIssued on",
    ]
    assert data["A1"].font.bold
    assert data["A2"].value == "必填，2 至 300 字\n例 e.g. 关于支持中小企业发展的通知"
    assert data.freeze_panes == "A3"
    assert data.column_dimensions["A"].width == 40
    assert data.column_dimensions["B"].number_format == "@"
    (rule,) = data.data_validations.dataValidation
    assert (rule.type, rule.formula1, str(rule.sqref)) == ("list", "=choices!$C$1:$C$3", "C3:C20000")
    assert [choices.cell(row, 3).value for row in (1, 2, 3)] == ["国家", "市", "区"]
    assert [cell.value for cell in guide[4]] == ["层级", "Level", "从列表中选择", None, "国家、市、区"]


@pytest.mark.parametrize(
    "header",
    [
        ("发布日期", "标题", "文号"),
        ("Issued on", "Title", "Document number"),
        ("ISSUED ON", " title ", "documentnumber"),
        ("issued_on", "标题*", "文号\nDocument number"),
    ],
)
def test_titles_are_found_in_any_order_and_language(header: tuple[str, ...]) -> None:
    data = book((), (), header, ("2024-05-01", "甲", "一号"))
    assert list(read_rows(data, COLUMNS)) == [(4, {"issued_on": "2024-05-01", "title": "甲", "document_no": "一号"})]


def test_an_unknown_a_repeated_and_a_missing_title_name_their_cell() -> None:
    assert refusal(read_rows(book(("标题", "颜色")), COLUMNS)) == (
        "没有名为“颜色”的列",
        "there is no column “颜色”",
        1,
        "B",
    )
    assert refusal(read_rows(book(("标题", "文号", "Title")), COLUMNS)) == (
        "“Title”列重复",
        "the column “Title” comes twice",
        1,
        "C",
    )
    assert refusal(read_rows(book(("标题", None), ("甲", "乙")), COLUMNS)) == (
        "数据所在的列没有标题",
        "a column with data has no title",
        2,
        "B",
    )
    assert refusal(read_rows(book(), COLUMNS)) == ("表格没有内容", "the sheet is empty", None, None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (5.0, "5"),
        (0.1 + 0.2, "0.3"),
        (-1234.5, "-1234.5"),
        (1e-7, "0.0000001"),
        (999_999_999_999_999, "999999999999999"),
        (True, "TRUE"),
        (date(2024, 5, 1), "2024-05-01"),
        (datetime(2024, 5, 1, 8, 30), "2024-05-01 08:30:00"),  # noqa: DTZ001 - Excel has no time zones
        ("  甲 \n", "甲"),
        ("第一行\n第二行", "第一行\n第二行"),
    ],
)
def test_each_kind_of_cell_becomes_text(value: object, text: str) -> None:
    assert list(read_sheet(book(("x", value)))) == [(1, ["x", text, *[""] * 98])]


def test_a_formula_gives_the_value_stored_with_it() -> None:
    data = repacked(
        book(("x", "=1+1")), SHEET, lambda part: part.replace(b"<v />", b"<v>2</v>").replace(b"<v/>", b"<v>2</v>")
    )
    assert next(read_sheet(data))[1][:2] == ["x", "2"]


def test_a_failed_formula_and_a_number_too_long_for_excel_name_their_cell() -> None:
    assert refusal(read_sheet(book(("x",), ("y", "#REF!")))) == ("公式出错：#REF!", "a formula failed: #REF!", 2, "B")
    message, _, row, column = refusal(read_sheet(book((310115199001011234,))))
    assert (row, column) == (1, "A")
    assert message.startswith("数字超过 15 位")


def test_hidden_sheets_are_passed_over() -> None:
    workbook = Workbook()
    workbook.worksheets[0].sheet_state = "hidden"
    workbook.create_sheet().append(["甲"])
    stream = BytesIO()
    workbook.save(stream)
    assert next(read_sheet(stream.getvalue()))[1][0] == "甲"


def test_a_wrong_size_in_the_file_hides_no_rows() -> None:
    data = repacked(book(("甲", "乙"), ("丙", "丁")), SHEET, lambda part: part.replace(b'ref="A1:B2"', b'ref="A1"'))
    assert [cells[:2] for _, cells in read_sheet(data)] == [["甲", "乙"], ["丙", "丁"]]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"<html></html>" * 50, book(("x",))[:-40]])
def test_what_is_no_xlsx_is_refused(data: bytes) -> None:
    assert refusal(read_sheet(data))[:2] == ("文件不是 .xlsx 格式", "the file is not an .xlsx")


def test_an_old_or_encrypted_file_is_told_apart() -> None:
    assert refusal(read_sheet(b"\xd0\xcf\x11\xe0" + bytes(600)))[0] == "文件是旧版 .xls 或已加密，请另存为 .xlsx"


def test_a_zip_of_something_else_is_damaged() -> None:
    stream = BytesIO()
    with ZipFile(stream, "w") as archive:
        archive.writestr("readme.txt", "x")
    assert refusal(read_sheet(stream.getvalue()))[1] == "the file is damaged and cannot be read"


def test_a_zip_bomb_is_refused_before_it_unpacks() -> None:
    data = repacked(book(("x",)), SHEET, lambda part: b" " * (excel.MAX_UNPACKED_BYTES + 1) + part)
    assert len(data) < 1_000_000
    assert refusal(read_sheet(data))[1] == "the file unpacks to too much data"


def test_an_archive_of_too_many_parts_and_a_large_file_are_refused() -> None:
    stream = BytesIO()
    with ZipFile(stream, "w") as archive:
        for number in range(excel.MAX_PARTS + 1):
            archive.writestr(str(number), "")
    assert refusal(read_sheet(stream.getvalue()))[1] == "the file unpacks to too much data"
    assert refusal(read_sheet(bytes(excel.MAX_FILE_BYTES + 1)))[0] == "文件超过 20 MB"


def test_entities_that_multiply_are_refused() -> None:
    names = "abcdefghij"
    entities = "".join(f'<!ENTITY {name} "{f"&{last};" * 20}">' for last, name in pairwise(names))
    head = f'<!DOCTYPE x [<!ENTITY a "{"a" * 50}">{entities}]>'.encode()
    data = repacked(write_rows(COLUMNS, [{"title": "KEY"}]), SHEET, lambda part: head + part.replace(b"KEY", b"&j;"))
    assert refusal(read_sheet(data))[1] == "the file is damaged and cannot be read"


def test_more_rows_than_the_limit_are_refused_where_they_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "MAX_ROWS", 3)
    assert refusal(read_sheet(book(("1",), ("2",), (), ("3",), ("4",)))) == (
        "数据超过 3 行",
        "there are more than 3 rows",
        5,
        None,
    )


def test_a_cell_far_below_costs_no_memory_and_is_found() -> None:
    assert [number for number, _ in read_sheet(book(("甲",), A1048576="乙"))] == [1, 1_048_576]


def test_an_export_keeps_types_and_reads_back() -> None:
    rows: list[dict[str, object]] = [
        {"title": "甲", "document_no": 12, "level": Decimal("0.5"), "issued_on": date(2024, 5, 1)},
        {"title": None, "document_no": 123456789012345678, "level": True},
        {"issued_on": datetime(2024, 5, 1, 23, 30, tzinfo=UTC), "title": float("nan")},
    ]
    data = write_rows(COLUMNS, rows)
    assert list(read_rows(data, COLUMNS)) == [
        (2, {"title": "甲", "document_no": "12", "level": "0.5", "issued_on": "2024-05-01"}),
        (3, {"title": "", "document_no": "123456789012345678", "level": "TRUE", "issued_on": ""}),
        (4, {"title": "nan", "document_no": "", "level": "", "issued_on": "2024-05-02 07:30:00"}),
    ]
    sheet = load_workbook(BytesIO(data)).worksheets[0]
    assert sheet.freeze_panes == "A2"
    assert [sheet[address].data_type for address in ("A2", "B2", "D2", "B3", "C3")] == ["s", "n", "d", "s", "b"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r="])
def test_no_exported_text_is_ever_a_formula(start: str) -> None:
    data = write_rows(COLUMNS, [{"title": f"{start}HYPERLINK(1)"}])
    with ZipFile(BytesIO(data)) as archive:
        assert b"<f" not in archive.read(SHEET)
    cell = load_workbook(BytesIO(data)).worksheets[0]["A2"]
    assert (cell.data_type, cell.quotePrefix) == ("s", True)


def test_a_template_holds_no_formula_either() -> None:
    columns = [Column("x", "=标题", "@x", "=1", "+1", choices=("=2", "-3"))]
    workbook = load_workbook(BytesIO(write_template(columns)))
    assert {cell.data_type for sheet in workbook.worksheets for row in sheet for cell in row if cell.value} == {"s"}


def test_a_text_longer_than_a_cell_is_cut_where_one_can_see_it() -> None:
    ((_, row),) = read_rows(write_rows(COLUMNS, [{"title": "长" * 40_000}]), COLUMNS)
    assert len(row["title"]) == 32_767
    assert row["title"].endswith("长…（已截断 truncated）")


TEXT_CHARACTERS = st.characters() | st.sampled_from("\x00\x0b\ud800\ufffe\uffff=+-@甲\n")


def writable(text: str) -> str:
    """What XML can hold of a text."""
    return "".join(character for character in text if character in "\t\n\r" or " " <= character not in UNWRITABLE)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(TEXT_CHARACTERS, max_size=20), min_size=1, max_size=8))
def test_any_text_survives_a_round_trip(texts: list[str]) -> None:
    rows = ({"title": text, "document_no": "x"} for text in texts)
    back = [row["title"] for _, row in read_rows(write_rows(COLUMNS, rows), COLUMNS)]
    assert ["".join(text.split()) for text in back] == ["".join(text.split()) for text in map(writable, texts)]


SMALL_BOOK = book(("标题", "文号"), ("甲", "乙"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_but_never_fails(data: st.DataObject) -> None:
    content = bytearray(SMALL_BOOK)
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadFile):
        list(read_rows(bytes(content), COLUMNS))
