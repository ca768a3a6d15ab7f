"""Chinese text for searching: normal form, units, pairs, synonyms, and marks that leave the raw text as it is."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import text

BRACKETS = [
    "沪府规〔2024〕5号",
    "沪府规[2024]5号",
    "沪府规（2024）5号",
    "沪府规【2024】5号",
    "沪府规 2024 5 号",
    "沪府规〔２０２４〕５号",
]
CHINESE = st.text("高新技术企业专精特新小巨人补贴一网通办，。〔〕 \n2024aiＡＩ<>&\"'專補貼㎡Ⅲ😀", max_size=200)


@pytest.mark.parametrize("spelt", BRACKETS)
def test_a_document_number_reads_the_same_in_every_form_of_its_brackets(spelt: str) -> None:
    assert text.units(spelt) == ["沪", "府", "规", "2024", "5", "号"]


def test_width_case_and_script_do_not_matter() -> None:
    assert text.normalise("ＡＩ　專精特新ＡＢＣ") == "ai 专精特新abc"
    assert text.units("5Ｇ網絡，面积100㎡") == ["5g", "网", "络", "面", "积", "100m2"]


def test_two_numbers_side_by_side_are_not_one() -> None:
    assert text.pairs(["规", "2024", "5", "号"]) == ["规2024", "2024_5", "5号"]
    assert text.pairs(["企"]) == []


def test_parts_apart_by_spaces_are_read_once_each() -> None:
    assert text.chunks(" 无线电 频率  无线电 。") == [["无", "线", "电"], ["频", "率"]]


def test_domain_words_stay_whole() -> None:
    assert {"专精特新", "小巨人", "一网通办"} <= set(text.words("专精特新、小巨人在一网通办申报"))


def test_the_word_lists_are_sound() -> None:
    listed = text.domain_words()
    assert len(listed) == len(set(listed)) > 200
    assert all(word == text.normalise(word).strip() and len(word) > 1 for word in listed)
    for term, others in text.synonym_groups().items():
        assert len(term) > 1, term
        assert others, term
        assert term not in others
        assert len(others) == len(set(others)), term


def test_a_question_is_put_in_other_words() -> None:
    assert text.variants("高企认定") == ["高新技术企业认定"]
    assert text.variants("AI芯片")[:3] == ["人工智能芯片", "ai集成电路", "人工智能集成电路"]
    assert text.variants("地图审定") == []


def test_a_latin_term_is_replaced_only_as_a_whole_word() -> None:
    assert text.variants("email") == []


def test_a_term_is_not_expanded_where_its_full_form_already_stands() -> None:
    assert text.variants("社会保险，社保") == []


def test_a_passage_is_marked_on_the_raw_text() -> None:
    raw = "ＡＩ產業：支持<专精特新>企業"
    snippet = text.highlight(raw, text.needles("ai产业 专精特新"))[0]
    assert snippet.html(raw) == "<mark>ＡＩ產業</mark>：支持&lt;<mark>专精特新</mark>&gt;企業"


def test_a_latin_unit_is_marked_only_as_a_whole_word() -> None:
    assert text.highlight("train a model, AI", text.needles("ai"))[0].marks == ((15, 17),)


def test_the_best_passage_of_a_long_text_holds_the_longest_match() -> None:
    raw = "企业。" * 200 + "\n申报高新技术企业认定的，应当提交材料。" + "技术。" * 200
    snippet = text.highlight(raw, text.needles("高新技术企业认定"))[0]
    assert "<mark>高新技术企业认定</mark>" in snippet.html(raw)
    assert snippet.end - snippet.start == text.SNIPPET


def test_without_a_match_there_is_no_passage() -> None:
    assert text.highlight("营商环境", text.needles("贴息")) == []
    assert text.highlight("", text.needles("贴息")) == []
    assert text.highlight("营商环境", ()) == []


@given(CHINESE, CHINESE)
def test_unmarked_and_unescaped_every_passage_is_a_piece_of_the_raw_text(raw: str, asked: str) -> None:
    for snippet in text.highlight(raw, text.needles(asked), length=30, most=3):
        plain = html.unescape(re.sub("</?mark>", "", snippet.html(raw)))
        assert plain == raw[snippet.start : snippet.end]
        assert snippet.marks
        assert all(snippet.start <= start < end <= snippet.end for start, end in snippet.marks)


@given(st.text(max_size=50))
def test_folding_keeps_every_offset(raw: str) -> None:
    assert len(text.fold(raw)) == len(raw)


@given(CHINESE)
def test_normalising_twice_changes_nothing(raw: str) -> None:
    assert text.normalise(text.normalise(raw)) == text.normalise(raw)


@given(CHINESE.filter(lambda one: len(text.units(one)) > 2))
def test_a_piece_of_a_text_has_the_pairs_of_the_text(raw: str) -> None:
    units = text.units(raw)
    assert set(text.pairs(units[1:-1])) <= set(text.pairs(units))
