"""Texts of government documents: their numbers, their dates, and rich text that is safe to show."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from html import escape, unescape
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from kit.clock import SHANGHAI

_WIDTHS = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_BRACKETED_YEAR = re.compile(r"[\[({<〔【﹝〖〈《「『](\d{2}|\d{4})年?[\])}>〕】﹞〗〉》」』]")
_SERIAL = re.compile(r"(〔\d+〕)第?0*([1-9][0-9]*)(?:号|$)")
_INVISIBLE = re.compile(r"[\s\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]+")


def normalise_document_no(text: str) -> str:
    """The one spelling of a document number (文号): `沪府规[2024] 05 号` becomes `沪府规〔2024〕5号`.

    GB/T 9704-2012 7.2.5: the year stands in 〔〕, the serial number has neither 第 nor leading zeros and ends with 号.
    Orders such as 国务院令第656号 have no year and keep their 第. Applying it again changes nothing.
    """
    plain = _INVISIBLE.sub("", text.translate(_WIDTHS))
    return _SERIAL.sub(r"\1\2号", _BRACKETED_YEAR.sub(r"〔\1〕", plain))


_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:[\sT]\s*\d{1,2}[:时][\d:.时分秒]*)?")
_CHINESE_DATE = re.compile(
    r"([〇○零一二三四五六七八九]{4})年([一二三四五六七八九十]{1,2})月([一二三四五六七八九十]{1,3})日"
)
_NUMERALS = {**{numeral: value for value, numeral in enumerate("〇一二三四五六七八九")}, "○": 0, "零": 0}


def parse_date(text: str) -> date | None:
    """The day that a text names, or None if it names none.

    Understood are `2024-5-1`, `2024.05.01 08:00`, `2024年5月1日`, `20240501`, `二〇二四年五月一日` and ISO 8601.
    A moment with an offset gives its day in Shanghai. A month alone is no day.
    """
    text = text.strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _spelt_date(text)
    return moment.date() if moment.tzinfo is None else moment.astimezone(SHANGHAI).date()


def _spelt_date(text: str) -> date | None:
    if match := _DATE.fullmatch(text):
        year, month, day = (int(part) for part in match.groups())
    elif match := _CHINESE_DATE.fullmatch(text):
        year = int("".join(str(_NUMERALS[numeral]) for numeral in match[1]))
        month, day = _chinese_number(match[2]), _chinese_number(match[3])
    else:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _chinese_number(text: str) -> int:
    tens, ten, units = text.rpartition("十")
    return (10 * (_NUMERALS[tens[0]] if tens else 1) if ten else 0) + (_NUMERALS[units[0]] if units else 0)


ALLOWED: dict[str, frozenset[str]] = {
    **dict.fromkeys(("p", "br", "h2", "h3", "h4", "strong", "em", "u", "ul", "ol", "li", "blockquote"), frozenset()),
    **dict.fromkeys(("table", "thead", "tbody", "tr"), frozenset()),
    **dict.fromkeys(("th", "td"), frozenset({"colspan", "rowspan"})),
    "a": frozenset({"href"}),
    "img": frozenset({"src", "alt"}),
}
_REQUIRED = {"a": {"href"}, "img": {"src"}}
_SAME_AS = {"b": "strong", "i": "em", "div": "p", "h1": "h2", "h5": "h4", "h6": "h4"}
_VOID = frozenset({"br", "img"})
_BLOCKS = frozenset(ALLOWED) - {"br", "strong", "em", "u", "a", "img"}
_ENDS_SIBLING: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "li": (frozenset({"li"}), frozenset({"ul", "ol"})),
    "tr": (frozenset({"tr"}), frozenset({"table"})),
    **dict.fromkeys(("td", "th"), (frozenset({"td", "th"}), frozenset({"tr", "table"}))),
    **dict.fromkeys(("thead", "tbody"), (frozenset({"thead", "tbody"}), frozenset({"table"}))),
}
_ENDS_PARAGRAPH = (frozenset({"p"}), frozenset({"li", "blockquote", "td", "th"}))
_MAX_DEPTH = 64
_MAX_SPAN = 1000

_MARKUP = re.compile(r"<!--(?:-?>|.*?--!?>|.*)|<(/?)([a-zA-Z][^\s/>]*+)|<[!?/][^>]*+>?", re.DOTALL)
_ATTRIBUTE = re.compile(
    r"""[\s/]*+(?:(?P<end>>|\Z)|(?P<name>[^\s/>][^\s/>=]*+)"""
    r"""(?:\s*+=\s*+(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|(?P<bare>(?!["'])[^\s>]++)))?+)"""
)
_REFERENCE = re.compile(r"&(?:#\d{1,8}|#[xX][0-9a-fA-F]{1,8}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_HIDDEN = ("script", "style", "title", "iframe", "object", "template", "noscript", "textarea", "svg", "math")
_END_OF_HIDDEN = {tag: re.compile(rf"</{tag}(?=[\s/>]|\Z)", re.IGNORECASE | re.ASCII) for tag in _HIDDEN}


class _Token(NamedTuple):
    """A run of text (`tag` empty, `text` unescaped), or a tag that opens or closes."""

    tag: str = ""
    text: str = ""
    opens: bool = False
    attributes: dict[str, str] = {}  # noqa: RUF012 - a tuple's default, never changed


def _tokens(html: str) -> Iterator[_Token]:
    """Texts and tags in the order they stand, in linear time whatever the input.

    The standard library's parser takes quadratic time on unclosed tags (CVE-2025-6069: 31 s for 60 kB before its fix),
    which one hostile body would turn into a stopped server.
    """
    position, last_end = 0, html.rfind(">")
    while (match := _MARKUP.search(html, position)) and match.start() <= last_end:
        if match.start() > position:
            yield _Token(text=_unescape(html[position : match.start()]))
        position = match.end()
        if match[2] is None:
            continue
        attributes, position = _attributes(html, position)
        tag = match[2].lower()
        if tag in _END_OF_HIDDEN and not match[1]:
            hidden = _END_OF_HIDDEN[tag].search(html, position)
            position = hidden.start() if hidden else len(html)
        else:
            yield _Token(tag=_SAME_AS.get(tag, tag), opens=not match[1], attributes=attributes)
    if position < len(html):
        yield _Token(text=_unescape(html[position:]))


def _unescape(text: str) -> str:
    """Character references as characters; longer numbers than any character's are left, since `int` refuses them."""
    return _REFERENCE.sub(lambda found: unescape(found[0]), text)


def _attributes(html: str, position: int) -> tuple[dict[str, str], int]:
    """Attributes by lower-case name, the first of equal names, and where the tag ends."""
    attributes: dict[str, str] = {}
    while (match := _ATTRIBUTE.match(html, position)) and match["end"] is None:
        position = match.end()
        value = match["double"] or match["single"] or match["bare"] or ""
        attributes.setdefault(match["name"].lower(), _unescape(value))
    return attributes, match.end() if match else len(html)


def _safe_link(address: str, schemes: tuple[str, ...]) -> str:
    """The address without blanks and control characters, or nothing if it leads anywhere but out or to our files."""
    address = re.sub(r"[\x00-\x20\x7f-\xa0]", "", address)
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    if not parts.scheme and not parts.netloc and parts.path.startswith("/files/"):
        path = unquote(parts.path)
        return "" if "\\" in path or ".." in path.split("/") else address
    target = parts.path if parts.scheme == "mailto" else parts.netloc
    return address if parts.scheme in schemes and target else ""


def _safe_attributes(tag: str, given: dict[str, str]) -> dict[str, str]:
    safe = {}
    for name in sorted(ALLOWED[tag] & given.keys()):
        value = given[name]
        if name == "href":
            value = _safe_link(value, ("http", "https", "mailto"))
        elif name == "src":
            value = _safe_link(value, ("https",))
        elif name != "alt":
            number = int(value) if re.fullmatch(r"[0-9]{1,4}", value) else 0
            value = str(number) if 1 <= number <= _MAX_SPAN else ""
        if value:
            safe[name] = value
    return safe


class _Writer:
    """Writes allowed tags, always well nested and closed, at most 64 deep."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._open: list[str] = []

    def text(self, text: str) -> None:
        self.parts.append(escape(text, quote=False))

    def open(self, tag: str, given: dict[str, str]) -> None:
        attributes = _safe_attributes(tag, given)
        if (tag == "a" and "a" in self._open) or not _REQUIRED.get(tag, set()) <= attributes.keys():
            return
        if tag in _BLOCKS:
            self._end_sibling(*_ENDS_PARAGRAPH)
        if tag in _ENDS_SIBLING:
            self._end_sibling(*_ENDS_SIBLING[tag])
        if len(self._open) >= _MAX_DEPTH and tag not in _VOID:
            return
        written = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
        self.parts.append(f"<{tag}{written}>")
        if tag not in _VOID:
            self._open.append(tag)

    def close(self, tag: str) -> None:
        if tag in self._open:
            while self._pop() != tag:
                pass

    def finish(self) -> str:
        while self._open:
            self._pop()
        return "".join(self.parts)

    def _pop(self) -> str:
        tag = self._open.pop()
        self.parts.append(f"</{tag}>")
        return tag

    def _end_sibling(self, tags: frozenset[str], within: frozenset[str]) -> None:
        """Closes the nearest of the tags, if one is open inside the nearest container."""
        for tag in reversed(self._open):
            if tag in tags:
                self.close(tag)
            if tag in tags or tag in within:
                return


def sanitise_html(html: str) -> str:
    """Rich text with nothing but the tags and attributes of `ALLOWED`, well nested; doing it again changes nothing.

    Other tags go and their text stays, but scripts, styles and the like go whole. Links lead to http, https, mailto or
    `/files/…`, pictures come from https or `/files/…`. A text without markup stays as it is, escaped.
    """
    writer = _Writer()
    for token in _tokens(html.replace("\x00", "")):
        if not token.tag:
            writer.text(token.text)
        elif token.tag not in ALLOWED:
            continue
        elif token.opens:
            writer.open(token.tag, token.attributes)
        else:
            writer.close(token.tag)
    return writer.finish()


def plain_text(html: str) -> str:
    """What a reader sees of rich text, for search, diffs and word checks: a line for each block, a tab between cells.

    A text without any tag keeps its own lines.
    """
    pieces = [_visible(token) for token in _tokens(html)] if "<" in html else [_unescape(html)]
    lines = (re.sub(r"[^\S\t]+", " ", line).strip() for line in "".join(pieces).splitlines())
    return "\n".join(line for line in lines if line)


def _visible(token: _Token) -> str:
    if not token.tag:
        return re.sub(r"\s+", " ", token.text)
    if token.tag in {"td", "th"}:
        return "" if token.opens else "\t"
    return "\n" if token.tag in _BLOCKS or token.tag == "br" else ""


def html_from_text(text: str) -> str:
    """Plain text as rich text, one paragraph for each line that is not blank."""
    return "".join(f"<p>{escape(line.strip(), quote=False)}</p>" for line in text.splitlines() if line.strip())
