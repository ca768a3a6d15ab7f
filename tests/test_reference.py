"""The reference tables agree with their standards and with one another (`models/reference/SOURCES.md`)."""

import re
from collections import Counter

import pytest

from kit.words import Severity, Word, WordList, normalise
from models.reference import rows

TABLES = (
    "districts",
    "streets",
    "industries",
    "departments",
    "service_categories",
    "sensitive_words",
    "sensitive_exceptions",
)
STREET_KINDS = {
    "SUBDISTRICT": (range(1, 100), "街道"),
    "TOWN": (range(100, 200), "镇"),
    "TOWNSHIP": (range(200, 400), "乡"),
    "SPECIAL_AREA": (range(400, 1000), ""),
}
LAWFUL = (
    "本市最低工资标准自七月一日起调整，首个工作日办理。",
    "最高人民法院第一巡回法庭受理，依照第一条、第一款办理。",
    "企业被认定为国家级专精特新“小巨人”企业的，最高奖励100万元。",
    "精神药品、麻醉药品的经营企业应当取得许可。",
    "承包过程中增加微信公众号服务，避免审核延误，支援交通建设。",
    "税务机关可以代开发票，虚开发票的依法处罚。",
    "有人骗取补贴、走后门，我们的货款被拖欠，工人工资发不出，动迁补偿不合理，请调查腐败问题。",
    "同行刷单、虚假宣传，银行拒绝给我们贷款，请协调。",
    "积极致力于根治欠薪，推广最佳实践。",
    "广告不得使用“国家级”、“最高级”、“最佳”等用语。",
)
FORBIDDEN = (
    ("本公司提供全网最低价格", "全网最低", Severity.WARN),
    ("高企包过，欢迎咨询", "高企包过", Severity.BLOCK),
    ("全上海最*佳的代理", "最佳", Severity.BLOCK),
    ("产品稳 赚 不 赔", "稳赚不赔", Severity.BLOCK),
    ("请＋加ＶＸ联系", "加vx", Severity.WARN),
    ("Ｎｏ．１ 服务商", "NO.1", Severity.WARN),
    ("人民大会堂特供", "人民大会堂特供", Severity.BLOCK),
)


def word_list() -> WordList:
    words = (
        Word(row["word"], row["category"], Severity(row["severity"]), row["suggestion"])
        for row in rows("sensitive_words")
    )
    return WordList(words, (row["phrase"] for row in rows("sensitive_exceptions")))


@pytest.mark.parametrize("table", TABLES)
def test_no_cell_has_blanks_around_it_and_no_row_is_ragged(table: str) -> None:
    for row in rows(table):
        assert None not in row
        assert all(value is not None and value == value.strip() for value in row.values())


@pytest.mark.parametrize("table", ["districts", "streets", "industries", "departments", "service_categories"])
def test_codes_are_unique(table: str) -> None:
    assert max(Counter(row["code"] for row in rows(table)).values()) == 1


@pytest.mark.parametrize("table", ["industries", "departments", "service_categories"])
def test_every_parent_exists(table: str) -> None:
    codes = {row["code"] for row in rows(table)}
    assert {row["parent_code"] for row in rows(table)} - codes == {""}


def test_the_city_has_sixteen_districts_and_the_codes_that_they_replaced() -> None:
    districts = {row["code"]: row for row in rows("districts")}
    assert len(districts) == 16
    former = {old: code for code, row in districts.items() for old in row["former_codes"].split()}
    assert former == {"310103": "310101", "310108": "310106", "310119": "310115", "310230": "310151"}
    assert not former.keys() & districts.keys()
    assert districts["310115"]["name_en"] == "Pudong New Area"
    assert districts["310106"]["name_en"] == "Jing'an District"
    for row in districts.values():
        assert row["name"].startswith(row["short_name"])
        assert 120.8 < float(row["longitude"]) < 122.2
        assert 30.6 < float(row["latitude"]) < 31.9


def test_each_street_lies_in_the_district_of_its_code_and_is_of_the_kind_of_its_number() -> None:
    districts = {row["code"] for row in rows("districts")}
    assert Counter(row["kind"] for row in rows("streets")) == {
        "SUBDISTRICT": 107,
        "TOWN": 106,
        "TOWNSHIP": 2,
        "SPECIAL_AREA": 19,
    }
    for row in rows("streets"):
        numbers, ending = STREET_KINDS[row["kind"]]
        assert re.fullmatch(r"[0-9]{9}", row["code"])
        assert row["code"][:6] == row["district_code"]
        assert row["district_code"] in districts
        assert int(row["code"][6:]) in numbers
        assert row["name"].endswith(ending)


def test_industries_have_the_levels_of_gbt_4754_2017() -> None:
    assert Counter(row["level"] for row in rows("industries")) == {"1": 20, "2": 97, "3": 473, "4": 1381}
    levels = {row["code"]: int(row["level"]) for row in rows("industries")}
    for row in rows("industries"):
        digits = {"1": "", "2": r"\d\d", "3": r"\d{3}", "4": r"\d{4}"}[row["level"]]
        assert re.fullmatch(rf"[A-T]{digits}", row["code"])
        assert row["section"] == row["code"][0]
        assert row["level"] == "1" or levels[row["parent_code"]] == int(row["level"]) - 1
        assert row["code"].startswith(row["parent_code"])
    names = {row["code"]: row["name"] for row in rows("industries")}
    assert names["I6513"] == "应用软件开发"
    assert names["C3973"] == "集成电路制造"


def test_departments_have_unique_names_and_institutions_know_who_is_above_them() -> None:
    departments = {row["code"]: row for row in rows("departments")}
    for column in ("name", "short_name", "name_en"):
        assert len({row[column] for row in departments.values()}) == len(departments)
    assert all(re.fullmatch(r"[A-Z]{3,12}", code) for code in departments)
    assert departments["SHEITC"]["name"] == "上海市经济和信息化委员会"
    assert departments["SSMEC"]["parent_code"] == "SHEITC"
    assert {row["kind"] for row in departments.values()} == {"MUNICIPAL", "NATIONAL", "INSTITUTION"}


def test_service_categories_are_the_ten_of_the_platform_two_levels_deep() -> None:
    top = [row for row in rows("service_categories") if row["level"] == "1"]
    assert [row["code"] for row in top] == [f"02{number:02d}0000" for number in range(1, 11)]
    assert [row["name"] for row in top][:3] == ["创业服务", "科技创新", "知识产权"]
    for row in rows("service_categories"):
        if row["level"] == "2":
            assert row["parent_code"] == row["code"][:4] + "0000"
            assert row["code"].endswith("00")


def test_no_two_sensitive_words_are_the_same_word_and_each_says_what_to_do() -> None:
    words = rows("sensitive_words")
    assert len({normalise(row["word"]) for row in words}) == len(words) == 291
    assert all(row["category"] and row["suggestion"] for row in words)
    assert {row["severity"] for row in words} == {"WARN", "BLOCK"}
    assert not {row["phrase"] for row in rows("sensitive_exceptions")} & {row["word"] for row in words}


@pytest.mark.parametrize("text", LAWFUL)
def test_what_laws_notices_and_appeals_say_passes_without_a_mark(text: str) -> None:
    assert word_list().find(text) == []


@pytest.mark.parametrize(("text", "word", "severity"), FORBIDDEN)
def test_what_advertising_law_forbids_is_pointed_out(text: str, word: str, severity: Severity) -> None:
    assert [(match.word, match.severity) for match in word_list().find(text)] == [(word, severity)]


def test_an_unknown_table_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        rows("nowhere")
