"""What a reviewer is shown of a change (`kit/diff.py`; R-ADM-05, R-ADM-06)."""

import json
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.diff import ChangeKind, FieldChange, Json, TextOp, TextSpan, diff, text_diff

EQUAL, INSERT, DELETE = TextOp.EQUAL, TextOp.INSERT, TextOp.DELETE


def marked(before: str, after: str) -> str:
    """The diff on one line: `[-gone]`, `[+new]`."""
    marks = {EQUAL: "{}", INSERT: "[+{}]", DELETE: "[-{}]"}
    return "".join(marks[span.op].format(span.text) for span in text_diff(before, after))


def change(field: str, kind: ChangeKind, before: Json, after: Json, **parts: Any) -> FieldChange:
    return FieldChange(field, kind, before, after, **{"text": [], "items_added": [], "items_removed": [], **parts})


def test_equal_values_have_no_changes() -> None:
    values: dict[str, Json] = {"title": "通知", "amount": 5, "tags": ["甲"], "contact": {"phone": "1"}}
    assert diff(values, dict(values)) == []


def test_fields_come_in_the_order_of_the_new_values_and_gone_ones_last() -> None:
    changes = diff({"gone": 1, "kept": 0, "b": 1}, {"b": 2, "a": True, "kept": 0})
    assert changes == [
        change("b", ChangeKind.CHANGED, 1, 2),
        change("a", ChangeKind.ADDED, None, after=True),
        change("gone", ChangeKind.REMOVED, 1, None),
    ]


def test_a_first_submission_adds_every_field_that_is_not_blank() -> None:
    assert diff(None, {"title": "通知", "tags": ["甲"], "topic": "", "basis": [], "free": False}) == [
        change("title", ChangeKind.ADDED, None, "通知", text=[TextSpan(INSERT, "通知")]),
        change("tags", ChangeKind.ADDED, None, ["甲"], items_added=["甲"]),
        change("free", ChangeKind.ADDED, None, after=False),
    ]


def test_blank_is_blank_however_it_is_stored() -> None:
    assert diff({"a": None, "b": "", "c": [], "d": {}}, {"a": "", "b": None, "c": None}) == []


def test_one_true_and_the_text_1_are_three_values() -> None:
    assert [entry.kind for entry in diff({"a": 1, "b": True}, {"a": True, "b": "1"})] == [ChangeKind.CHANGED] * 2


def test_a_text_that_goes_away_is_deleted_whole() -> None:
    assert diff({"summary": "旧摘要"}, {"summary": None}) == [
        change("summary", ChangeKind.REMOVED, "旧摘要", None, text=[TextSpan(DELETE, "旧摘要")])
    ]


def test_list_items_are_compared_as_wholes_and_as_often_as_they_occur() -> None:
    first: Json = {"subject": "REVENUE", "value": 1}
    second: Json = {"subject": "REVENUE", "value": 2}
    assert diff(
        {"items": ["a", "b", "b", first]}, {"items": ["b", "c", {"value": 1, "subject": "REVENUE"}, second]}
    ) == [
        change(
            "items",
            ChangeKind.CHANGED,
            ["a", "b", "b", first],
            ["b", "c", first, second],
            items_added=["c", second],
            items_removed=["a", "b"],
        )
    ]


def test_a_list_in_another_order_is_changed_with_nothing_added_or_removed() -> None:
    assert diff({"issuers": ["甲", "乙"]}, {"issuers": ["乙", "甲"]}) == [
        change("issuers", ChangeKind.CHANGED, ["甲", "乙"], ["乙", "甲"])
    ]


def test_nested_objects_give_dotted_fields() -> None:
    changes = diff(
        {"contact": {"phone": "1", "name": "王"}}, {"contact": {"phone": "2", "name": "王"}, "map": {"x": 1}}
    )
    assert [(entry.field, entry.before, entry.after) for entry in changes] == [
        ("contact.phone", "1", "2"),
        ("map.x", None, 1),
    ]
    assert [entry.field for entry in diff({"contact": {"phone": "1"}}, {"contact": None})] == ["contact.phone"]


def test_a_value_that_changes_its_type_is_shown_as_it_was_and_is() -> None:
    assert diff({"a": "甲"}, {"a": ["甲"]}) == [change("a", ChangeKind.CHANGED, "甲", ["甲"])]
    assert diff({"a": 0}, {"a": {"b": 1}}) == [change("a", ChangeKind.CHANGED, 0, {"b": 1})]


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("最高500万元", "最高300万元", "最高[-500][+300]万元"),
        ("2024年5月1日起施行", "2025年6月1日起施行", "[-2024年5][+2025年6]月1日起施行"),
        ("支持中小企业发展", "扶持小微企业发展", "[-支持中小][+扶持小微]企业发展"),
        ("企业应当具备条件", "企业应具备条件", "企业应[-当]具备条件"),
        ("第一条\n第三条\n", "第一条\n第二条\n第三条\n", "第一条\n[+第二条\n]第三条\n"),
        ("甲。乙。丙。", "甲。丙。", "甲。[-乙。]丙。"),
        ("free of charge", "free of tax", "free of [-charge][+tax]"),
        ("<p>甲乙丙丁</p>", "<p>甲<strong>乙丙</strong>丁</p>", "<p>甲[+<strong>]乙丙[+</strong>]丁</p>"),
        ("", "新", "[+新]"),
        ("旧", "", "[-旧]"),
    ],
)
def test_a_change_inside_a_text_is_shown_where_it_is(before: str, after: str, shown: str) -> None:
    assert marked(before, after) == shown


def test_changed_lines_do_not_swallow_the_line_between_them() -> None:
    assert marked("甲甲甲\n乙\n丙丙丙", "丁丁丁\n乙\n戊戊戊") == "[-甲甲甲][+丁丁丁]\n乙\n[-丙丙丙][+戊戊戊]"


TEXTS = st.one_of(st.text(max_size=60), st.text(st.sampled_from("甲乙丙。；\n 1a"), max_size=60))


@given(TEXTS, TEXTS)
def test_the_spans_give_back_both_texts(before: str, after: str) -> None:
    spans = text_diff(before, after)
    assert "".join(span.text for span in spans if span.op is not INSERT) == before
    assert "".join(span.text for span in spans if span.op is not DELETE) == after
    assert all(span.text for span in spans)
    assert all(one.op != other.op for one, other in pairwise(spans))


@given(TEXTS)
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    assert text_diff(text, text) == ([TextSpan(EQUAL, text)] if text else [])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@given(OBJECTS, OBJECTS)
def test_every_change_is_a_change_and_lists_add_up(before: dict[str, Json], after: dict[str, Json]) -> None:
    assert diff(after, after) == []
    for entry in diff(before, after):
        assert json.dumps(entry.before, sort_keys=True) != json.dumps(entry.after, sort_keys=True)
        if entry.items_added or entry.items_removed:
            old = entry.before if isinstance(entry.before, list) else []
            new = entry.after if isinstance(entry.after, list) else []
            assert len(old) - len(entry.items_removed) == len(new) - len(entry.items_added)


def long_text() -> str:
    picker = random.Random(7)  # noqa: S311 - repeatable text, no secret
    words = (
        "企业",
        "政策",
        "资金",
        "申报",
        "条件",
        "应当",
        "本市",
        "支持",
        "项目",
        "年度",
        "部门",
        "服务",
        "。",
        "，",
        "\n",
    )
    return "".join(picker.choice(words) for _ in range(110_000))


def test_few_changes_in_a_long_text_are_found_exactly() -> None:
    text = long_text()
    changed = text[:50_000] + "甲甲" + text[50_000:120_000] + "乙乙乙" + text[120_000:]
    spans = text_diff(text, changed)
    assert [span.text for span in spans if span.op is not EQUAL] == ["甲甲", "乙乙乙"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a" * 200_000, "b" + "a" * 199_999),
        ("甲乙" * 100_000, "乙甲" * 100_000),
        ("甲乙" * 1_000, "乙丙甲" * 650),
        ("甲\n" * 60_000, "乙\n" * 60_000),
        (long_text(), long_text()[::-1]),
        (long_text().replace("\n", "").replace("。", ""), long_text().replace("\n", "").replace("。", "")[::-1]),
    ],
)
def test_hostile_and_rewritten_long_texts_end_and_add_up(before: str, after: str) -> None:
    spans = text_diff(before, after)
    assert "".join(span.text for span in spans if span.op is not INSERT) == before
    assert "".join(span.text for span in spans if span.op is not DELETE) == after
