"""The matcher of sensitive words: what it finds, where, and what it leaves alone (R-ADM-03, R-ADM-04)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.words import Match, Severity, Word, WordList, normalise


def listed(*words: str, exceptions: tuple[str, ...] = ()) -> WordList:
    return WordList((Word(word, "类别", Severity.WARN, "改写") for word in words), exceptions)


def found(words: WordList, text: str) -> list[tuple[int, int, str]]:
    return [(match.start, match.end, match.word) for match in words.find(text)]


def test_a_match_says_where_what_how_bad_and_what_to_write_instead() -> None:
    words = WordList([Word("最佳", "广告法绝对化用语", Severity.BLOCK, "优质")])
    assert words.find("我们是最 佳机构") == [
        Match(3, 6, "最佳", "最 佳", "广告法绝对化用语", Severity.BLOCK, "优质"),
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("最佳", (0, 2)),
        ("最 佳", (0, 3)),
        ("最　佳", (0, 3)),
        ("最*佳", (0, 3)),
        ("最-佳", (0, 3)),
        ("最_佳", (0, 3)),
        ("最·佳", (0, 3)),
        ("最.佳", (0, 3)),
        ("最....佳", (0, 6)),
        ("最😊佳", (0, 3)),
        ("最\u200b\u200b\u200b\u200b\u200b\u200b佳", (0, 8)),
        ("最\u0336佳\u0336", (0, 3)),
        ("**最*佳**", (2, 5)),
    ],
)
def test_separators_and_invisible_characters_do_not_hide_a_word(text: str, place: tuple[int, int]) -> None:
    assert found(listed("最佳"), text) == [(*place, "最佳")]


@pytest.mark.parametrize("text", ["ｂｅｓｔ", "BEST", "B e s t", "ｂ-Ｅ-s-t", "𝐛𝐞𝐬𝐭", "ⓑⓔⓢⓣ"])
def test_width_case_and_fancy_letters_do_not_hide_a_word(text: str) -> None:
    assert found(listed("best"), f"the {text}!") == [(4, 4 + len(text), "best")]


@pytest.mark.parametrize(
    "text",
    [
        "治疗，效果好",
        "治疗。效果",
        "治疗\n效果",
        "治疗\t效果",
        "治疗——效果",
        "治疗…效果",
        "“治疗”效果",
        "治疗          效果",
    ],
)
def test_a_word_does_not_run_over_punctuation_lines_cells_or_wide_gaps(text: str) -> None:
    assert found(listed("疗效"), text) == []


@pytest.mark.parametrize("text", ["bestow", "web establish", "2100%", "NO.12", "xNO.1"])
def test_a_latin_word_or_number_is_found_only_where_it_stands_alone(text: str) -> None:
    assert found(listed("best", "100%", "NO.1"), text) == []


def test_a_latin_word_is_found_beside_chinese() -> None:
    assert found(listed("NO.1", "加v"), "全国NO.1品牌，加V信") == [(2, 6, "NO.1"), (9, 11, "加v")]


def test_the_longest_of_the_leftmost_words_wins_and_matches_do_not_overlap() -> None:
    words = listed("第一", "销量第一", "第一品牌", "一品")
    assert found(words, "销量第一品牌，第一品牌，一品") == [
        (0, 4, "销量第一"),
        (7, 11, "第一品牌"),
        (12, 14, "一品"),
    ]


def test_a_word_within_an_exception_is_harmless_and_one_that_reaches_beyond_it_is_not() -> None:
    words = listed("第一", "销量第一", "最高", exceptions=("第一条", "最高人民法院"))
    assert found(words, "依照第一条，最高人民法院规定") == []
    assert found(words, "销量第一条") == [(0, 4, "销量第一")]
    assert found(words, "最高人民") == [(0, 2, "最高")]
    assert found(words, "第一，第一条") == [(0, 2, "第一")]


def test_an_exception_that_is_also_a_word_is_harmless() -> None:
    assert found(listed("最佳", exceptions=("最 佳",)), "最佳") == []


def test_of_two_entries_for_one_word_the_more_severe_counts() -> None:
    words = WordList([Word("最佳", "甲", Severity.BLOCK), Word("最*佳", "乙", Severity.WARN)])
    assert [match.category for match in words.find("最佳")] == ["甲"]


def test_an_empty_library_and_a_word_of_separators_only_find_nothing() -> None:
    assert found(listed(), "最佳") == []
    assert found(listed("***", "", exceptions=("  ",)), "*** 最佳") == []


def test_a_character_that_stands_for_several_is_matched_whole_or_not_at_all() -> None:
    assert found(listed("株)甲"), "㈱甲") == []
    assert found(listed("(株)甲"), "㈱甲") == [(0, 2, "(株)甲")]


def test_offsets_count_code_points() -> None:
    text = "😊😊最佳"
    assert found(listed("最佳"), text) == [(2, 4, "最佳")]


def test_a_megabyte_is_searched_whatever_it_holds() -> None:
    words = listed("最佳", "佳最", "a" * 50)
    assert len(words.find("最佳，" * 333_333)) == 333_333
    assert words.find("最" + " " * 1_000_000 + "佳") == []
    assert len(words.find("最" + "\u200b" * 1_000_000 + "佳")) == 1
    assert words.find("a" * 1_000_000) == []


CHARACTERS = st.sampled_from("最佳第一高低ａbＢ1２%，。\n\t—…㈱①é*·.- 　\u200b\u0301😊\ud800")
TEXTS = st.one_of(st.text(CHARACTERS, max_size=30), st.text(max_size=30))
WORDS = st.lists(st.text(st.sampled_from("最佳第一高低ab12%"), min_size=1, max_size=4), max_size=6)
SEPARATORS = st.text(st.sampled_from(" 　*·.-_~@#/\\|'&+=😊"), max_size=4)
INVISIBLE = st.text(st.sampled_from("\u200b\u200d\ufeff\u00ad\u0301\u0336"), max_size=9)


@given(words=WORDS, exceptions=WORDS, text=TEXTS)
def test_matches_are_slices_of_the_text_in_order_that_spell_their_words(
    words: list[str], exceptions: list[str], text: str
) -> None:
    end = 0
    for match in listed(*words, exceptions=tuple(exceptions)).find(text):
        assert end <= match.start < match.end <= len(text)
        assert match.text == text[match.start : match.end]
        assert normalise(match.text) == normalise(match.word)
        assert match.word in words
        assert match.word not in exceptions
        end = match.end


@given(st.text(st.sampled_from("最佳第一高低"), min_size=2, max_size=6), st.data())
def test_separators_anywhere_inside_keep_the_match(word: str, data: st.DataObject) -> None:
    gaps = [data.draw(st.tuples(INVISIBLE, SEPARATORS)) for _ in word[1:]]
    spelt = word[0] + "".join(
        f"{hidden}{shown}{letter}" for (hidden, shown), letter in zip(gaps, word[1:], strict=True)
    )
    assert found(listed(word), f"乙{spelt}乙") == [(1, 1 + len(spelt), word)]


@given(
    phrase=st.text(st.sampled_from("最佳第一高低"), min_size=2, max_size=6), before=TEXTS, after=TEXTS, data=st.data()
)
def test_no_match_lies_within_an_exception(phrase: str, before: str, after: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(phrase) - 1))
    word = phrase[start : data.draw(st.integers(start + 1, len(phrase)))]
    place = range(len(before), len(before) + len(phrase) + 1)
    for match in listed(word, exceptions=(phrase,)).find(before + phrase + after):
        assert match.start not in place or match.end not in place


@given(TEXTS)
def test_comparing_twice_is_comparing_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
