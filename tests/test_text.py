"""Document numbers, dates and rich text (`kit/text.py`)."""

import re
from datetime import date
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.text import (
    ALLOWED,
    html_from_text,
    normalise_document_no,
    parse_date,
    plain_text,
    sanitise_html,
)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("沪府规〔2024〕5号", "沪府规〔2024〕5号"),
        ("沪府规[2024]5 号", "沪府规〔2024〕5号"),
        ("沪府规【2024】5号", "沪府规〔2024〕5号"),
        ("沪府规（2024）5号", "沪府规〔2024〕5号"),
        ("沪府规(2024)5号", "沪府规〔2024〕5号"),
        ("沪府规［２０２４］５号", "沪府规〔2024〕5号"),
        ("  沪府规 〔 2024 〕 第005号\u200b", "沪府规〔2024〕5号"),
        ("沪府规〔2024年〕5", "沪府规〔2024〕5号"),
        ("国办发﹝1996﹞25号", "国办发〔1996〕25号"),
        ("〔2022〕京经信发45号", "〔2022〕京经信发45号"),
        ("国务院令第656号", "国务院令第656号"),
        ("财政部公告2019年第76号", "财政部公告2019年第76号"),
        ("沪财税[2023]5号、沪府[2023]06号", "沪财税〔2023〕5号、沪府〔2023〕6号"),
        ("", ""),
    ],
)
def test_a_document_number_has_one_spelling(written: str, normal: str) -> None:
    assert normalise_document_no(written) == normal


@given(st.one_of(st.text(), st.text(st.sampled_from("沪府规[]（）〔〕【】０２4第号年 \u200b"), max_size=20)))
def test_normalising_a_document_number_again_changes_nothing(text: str) -> None:
    once = normalise_document_no(text)
    assert normalise_document_no(once) == once


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-05-01", date(2024, 5, 1)),
        ("2024-5-1", date(2024, 5, 1)),
        ("2024/5/1", date(2024, 5, 1)),
        ("2024.05.01 08:30", date(2024, 5, 1)),
        ("2024年5月1日 8时30分", date(2024, 5, 1)),
        ("20240501", date(2024, 5, 1)),
        (" 2024年5月1日 ", date(2024, 5, 1)),
        ("２０２４年５月１日", date(2024, 5, 1)),
        ("二〇二四年五月一日", date(2024, 5, 1)),
        ("二○一九年十二月三十一日", date(2019, 12, 31)),
        ("二零二零年十月二十日", date(2020, 10, 20)),
        ("2024-05-01T23:30:00Z", date(2024, 5, 2)),
        ("2024-05-01T23:30:00+08:00", date(2024, 5, 1)),
        ("2024-05-01 00:00:00", date(2024, 5, 1)),
        ("2024-05", None),
        ("2024年5月", None),
        ("2023-02-29", None),
        ("二〇二三年十三月一日", None),
        ("2024-05-01 至 2024-06-01", None),
        ("2024年5月1日起", None),
        ("长期有效", None),
        ("", None),
    ],
)
def test_a_day_is_read_in_each_of_its_spellings(text: str, day: date | None) -> None:
    assert parse_date(text) == day


@given(st.text(st.sampled_from("0129-/.年月日十〇一二 T:Z"), max_size=14))
def test_no_text_makes_reading_a_day_fail(text: str) -> None:
    assert parse_date(text) is None or isinstance(parse_date(text), date)


@pytest.mark.parametrize(
    ("html", "clean"),
    [
        ("<p>甲<p>乙<b>丙</p>丁", "<p>甲</p><p>乙<strong>丙</strong></p>丁"),
        ("<div><div>甲</div></div>", "<p></p><p>甲</p>"),
        ("<h1>题</h1><h6>注</h6>", "<h2>题</h2><h4>注</h4>"),
        ("<P CLASS=x STYLE='color:red' onclick=\"a()\">甲</P>", "<p>甲</p>"),
        ("<script>alert(1)</script>甲<STYLE>p{}</style >", "甲"),
        ("<scr\x00ipt>alert(1)</script>甲", "甲"),
        ("<svg><script>1</script></svg>甲<iframe src=x>乙</iframe>", "甲"),
        ("<!-- 注 -->甲<!DOCTYPE html><?xml 1?>", "甲"),
        ("<custom-tag>甲</custom-tag><form>乙</form>", "甲乙"),
        ("<a href='https://a.example/?x=1&copy=2'>甲</a>", '<a href="https://a.example/?x=1&amp;copy=2">甲</a>'),
        ("<a href='mailto:a@b.example'>甲</a>", '<a href="mailto:a@b.example">甲</a>'),
        ("<a href='/files/a/%E7%94%B2.pdf'>甲</a>", '<a href="/files/a/%E7%94%B2.pdf">甲</a>'),
        ("<a href='java\nscript:alert(1)'>甲</a>", "甲"),
        ("<a href='&#106;avascript&colon;alert(1)'>甲</a>", "甲"),
        ("<a href='//evil.example'>甲</a><a href='https:evil'>乙</a><a href='http://[x'>丙</a>", "甲乙丙"),
        ("<a href='/files/../graphql'>甲</a><a href='/files/%2e%2e/graphql'>乙</a>", "甲乙"),
        ("<a href='/graphql?query={a}'>甲</a>", "甲"),
        ("<a href='http://a.b'>甲<a href='http://c.d'>乙</a>", '<a href="http://a.b">甲乙</a>'),
        ("<img src='https://a.b/c.png' alt='图\"' width=3>", '<img alt="图&quot;" src="https://a.b/c.png">'),
        ("<img src='/files/c.png'><img src='http://a.b/c.png'><img src='data:x'>", '<img src="/files/c.png">'),
        ("<td colspan=2 rowspan='0' width=3>甲", '<td colspan="2">甲</td>'),
        ("<table><tr><td>1<td>2<tr><th>3</table>", "<table><tr><td>1</td><td>2</td></tr><tr><th>3</th></tr></table>"),
        ("<ul><li>甲<li>乙<ol><li>丙</ul>", "<ul><li>甲</li><li>乙<ol><li>丙</li></ol></li></ul>"),
        ("甲 & 乙 < 丙 &lt;b&gt; > 丁", "甲 &amp; 乙 &lt; 丙 &lt;b&gt; &gt; 丁"),
        ("x<y", "x&lt;y"),
        ("<p title='>'>甲</p><p title=\">乙</p>", "<p>甲</p><p>乙</p>"),
        ("&#" + "9" * 5000 + ";", "&amp;#" + "9" * 5000 + ";"),
        ("第一行\n第二行", "第一行\n第二行"),
        ("", ""),
    ],
)
def test_rich_text_keeps_what_is_allowed_and_nothing_else(html: str, clean: str) -> None:
    assert sanitise_html(html) == clean
    assert sanitise_html(clean) == clean


FRAGMENTS = st.sampled_from(
    [
        *"<>/=\"'& \n!-?x甲",
        *(f"<{tag}>" for tag in (*ALLOWED, "div", "script", "style", "svg", "b", "h1", "title", "ſcript", "form")),
        *(f"</{tag}>" for tag in (*ALLOWED, "script", "style", "svg", "title")),
        *("<!--", "-->", "<![CDATA[", "]]>", "&lt;", "&#60;", "&amp;", "&colon;", "&#0;", "\x00", "\ud800"),
        *("<a href=", "<img src=", "<td colspan=", "https://a.b", "/files/a", "javascript:1", "..", "%2e", "mailto:x"),
        *(" onclick=1", " style=x", " alt=", " href='", ' src="', "2", "/>"),
    ]
)


class Reader(HTMLParser):
    """An independent reader, which records each tag and attribute that it meets."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.others: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_decl(self, decl: str) -> None:
        self.others.append(decl)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)


@given(st.lists(FRAGMENTS, max_size=40).map("".join))
def test_whatever_comes_in_only_allowed_tags_and_safe_addresses_come_out(html: str) -> None:
    clean = sanitise_html(html)
    assert sanitise_html(clean) == clean
    reader = Reader()
    reader.feed(clean)
    reader.close()
    assert reader.others == []
    for tag, attributes in reader.tags:
        assert tag in ALLOWED
        assert attributes.keys() <= ALLOWED[tag]
        for name, value in attributes.items():
            if name in {"href", "src"}:
                assert re.match(r"https?://|mailto:|/files/", value or "")
            if name in {"colspan", "rowspan"}:
                assert (value or "").isdigit()


@given(st.lists(FRAGMENTS, max_size=40).map("".join))
def test_what_comes_out_is_well_nested(html: str) -> None:
    assert depth_of(sanitise_html(html)) <= 64


def depth_of(html: str) -> int:
    """How deep the tags nest, which are all closed in their order."""
    depth, open_tags = 0, list[str]()
    for closes, tag in re.findall(r"<(/?)([a-z0-9]+)[^>]*>", html):
        if closes:
            assert open_tags.pop() == tag
        elif tag not in {"br", "img"}:
            open_tags.append(tag)
        depth = max(depth, len(open_tags))
    assert open_tags == []
    return depth


def test_tags_nest_at_most_64_deep() -> None:
    clean = sanitise_html("<blockquote>" * 500 + "甲")
    assert depth_of(clean) == 64
    assert plain_text(clean) == "甲"


@pytest.mark.parametrize(
    "unit", ["<!--", "<a ", "<a b='", '<a b="', "</a ", "<", "&#", "<ul>", "<td>", "<title>", "<ul></p>"]
)
def test_a_hostile_body_is_read_to_its_end(unit: str) -> None:
    body = unit * 20_000 + ">"
    clean = sanitise_html(body)
    assert sanitise_html(clean) == clean
    assert len(plain_text(body)) <= len(body)


def test_plain_text_has_a_line_for_each_block_and_tabs_between_cells() -> None:
    html = "<h2>标题</h2><p>甲&nbsp;&amp; <b>乙</b><br>丙\n丁</p><table><tr><td>1</td><td>2</td></tr></table>"
    assert plain_text(html + "<script>x</script>") == "标题\n甲 & 乙\n丙 丁\n1\t2"


def test_plain_text_without_tags_keeps_its_lines() -> None:
    assert plain_text("第一条  总则\r\n\n　　第二条 &lt;甲&gt;") == "第一条 总则\n第二条 <甲>"


def test_plain_text_becomes_paragraphs_and_comes_back() -> None:
    html = html_from_text("第一条 a<b\n\n  第二条 & 其他\n")
    assert html == "<p>第一条 a&lt;b</p><p>第二条 &amp; 其他</p>"
    assert sanitise_html(html) == html
    assert plain_text(html) == "第一条 a<b\n第二条 & 其他"


@given(st.text())
def test_paragraphs_are_already_clean(text: str) -> None:
    html = html_from_text(text.replace("\x00", ""))
    assert sanitise_html(html) == html
