"""Policies as other systems and people write them, brought to the form of `PolicyValues` (R-POL-02, R-BDC-15)."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kit.excel import Column
from kit.text import html_from_text, parse_date
from models.policy import ApplyMode, EnterpriseSize, PolicyKind, PolicyLevel, PolicyValidity, SupportKind
from models.reference import rows

UNNAMED_ISSUER = "未注明"

_LEVELS = {"国家": "NATIONAL", "国家级": "NATIONAL", "省级": "PROVINCIAL", "市级": "MUNICIPAL", "区级": "DISTRICT"}
_KINDS = {
    "规范性文件": "NORMATIVE",
    "法律法规": "LAW",
    "地方性法规": "LAW",
    "政策条目": "MEASURE",
    "政策摘要(二手)": "MEASURE",
    "申报通知": "DECLARATION",
    "操作细则": "RULES",
    "解读": "INTERPRETATION",
    "公示": "PUBLIC_NOTICE",
}
_MUNICIPALITIES = ("上海", "北京", "天津", "重庆")
_SUPPORTS = (
    ("资金", "GRANT"),
    ("贴息", "INTEREST_SUBSIDY"),
    ("券", "VOUCHER"),
    ("租", "RENT"),
    ("人才", "TALENT"),
    ("资质", "QUALIFICATION"),
    ("认定", "QUALIFICATION"),
    ("减税", "TAX"),
    ("奖", "AWARD"),
)
_LIST = re.compile(r"[;；\n]+")
_ISSUERS = re.compile(r"[、;；\n]+")


def from_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one JSON record: id, source, title, issuer, doc_no, level, region, dates, topic, kind, url, body.

    `structured` may hold what a guide lists beside the text: 服务对象, 条件要求, 依据文件, 工具分类.
    """
    text = {name: str(value).strip() for name, value in record.items() if isinstance(value, str | int | float)}
    extra = record.get("structured") or {}
    region = text.get("region", "").removeprefix("全国全国") or "全国"
    issuers = [name.strip() for name in _ISSUERS.split(text.get("issuer", "")) if name.strip()] or [UNNAMED_ISSUER]
    return {
        "title": text.get("title", ""),
        "issuers": issuers,
        "document_no": text.get("doc_no") or None,
        "level": _level(text.get("level", ""), region),
        "kind": _KINDS.get(text.get("kind", ""), text.get("kind", "")),
        "topic": text.get("topic", ""),
        "region": region,
        "department_code": _departments().get(issuers[0]),
        "districts": _districts_in(region),
        "written_on": _day(text.get("written_date", "")),
        "issued_on": _day(text.get("publish_date", "")),
        "source": text.get("source", ""),
        "source_id": text.get("id") or None,
        "source_url": _address(text.get("url", "")),
        "target": str(extra.get("服务对象") or ""),
        "requirements": str(extra.get("条件要求") or ""),
        "basis": [str(extra["依据文件"])] if extra.get("依据文件") else [],
        "support_kinds": _supports(str(extra.get("工具分类") or "")),
        "body": html_from_text(str(record.get("body") or "")),
    }


def _level(name: str, region: str) -> str:
    if name == "省级" and region.startswith(_MUNICIPALITIES):
        return "MUNICIPAL"
    return _LEVELS.get(name, name)


def _day(text: str) -> str | None:
    """The day as ISO 8601; a month alone names none. What is no date at all stays, to be refused by name."""
    day = parse_date(text)
    if day is not None:
        return day.isoformat()
    return None if not text or re.fullmatch(r"\d{4}(-\d{1,2})?", text) else text


def _address(text: str) -> str | None:
    return text if text.startswith(("http://", "https://")) else None


def _departments() -> dict[str, str]:
    return {row["name"]: row["code"] for row in rows("departments")}


def _districts_in(region: str) -> list[str]:
    if "上海" not in region:
        return []
    return [row["code"] for row in rows("districts") if row["name"] in region or row["short_name"] in region]


def _supports(text: str) -> list[str]:
    return list(dict.fromkeys(kind for word, kind in _SUPPORTS if word in text))


def _choices(enum: Any) -> tuple[str, ...]:
    return tuple(member.zh for member in enum)


COLUMNS: tuple[Column, ...] = (
    Column("title", "标题", "Title", "必填 required", "关于支持……的若干措施", 40),
    Column(
        "issuers",
        "发文机关",
        "Issuers",
        "必填，多个用；分隔，牵头机关在前 several by ;",
        "上海市经济和信息化委员会",
        30,
    ),
    Column("document_no", "文号", "Document number", "", "沪经信企〔2026〕1号", 24),
    Column("level", "层级", "Level", "必填 required", "市", 10, _choices(PolicyLevel)),
    Column("kind", "政策类型", "Kind", "必填 required", "申报通知", 14, _choices(PolicyKind)),
    Column("topic", "主题", "Topic", "", "中小企业", 16),
    Column("region", "适用区域", "Region", "", "上海市", 14),
    Column("department_code", "发布部门代码", "Department code", "", "SHEITC", 14),
    Column("districts", "适用区代码", "District codes", "多个用；分隔，空为全市 empty: all", "310115", 16),
    Column("industries", "适用行业代码", "Industry codes", "GB/T 4754，多个用；分隔 several by ;", "C；I65", 16),
    Column("enterprise_sizes", "适用规模", "Enterprise sizes", "多个用；分隔 several by ;", "小型企业；微型企业", 20),
    Column("enterprise_tags", "适用标签", "Tags", "多个用；分隔 several by ;", "专精特新", 16),
    Column("support_kinds", "支持方式", "Support", "多个用；分隔 several by ;", "资金补助", 16),
    Column("amount_min", "最低金额（元）", "Least amount (yuan)", "", "", 14),
    Column("amount_max", "最高金额（元）", "Greatest amount (yuan)", "", "500000", 14),
    Column("target", "申报对象", "Who may apply", "", "", 30),
    Column("requirements", "申报条件", "Conditions", "", "", 40),
    Column("materials", "申报材料", "Documents", "多个用；分隔 several by ;", "申请表；营业执照", 30),
    Column("procedure", "办理流程", "Procedure", "", "", 30),
    Column("apply_start", "申报开始", "Applications from", "日期 date", "2026-12-01", 14),
    Column("apply_end", "申报截止", "Applications until", "日期，含当日 date, included", "2026-12-31", 14),
    Column("apply_mode", "申报方式", "How to apply", "", "线上申报", 14, _choices(ApplyMode)),
    Column("apply_url", "申报链接", "Application link", "", "", 24),
    Column("accepting_department", "受理部门", "Accepted by", "", "", 20),
    Column("phone", "咨询电话", "Telephone", "", "", 16),
    Column("body", "正文", "Full text", "必填 required", "", 60),
    Column("written_on", "成文日期", "Written on", "日期 date", "", 14),
    Column("issued_on", "发布日期", "Issued on", "日期 date", "", 14),
    Column("effective_from", "生效日期", "In force from", "日期 date", "", 14),
    Column("effective_to", "失效日期", "In force until", "日期 date", "", 14),
    Column("validity", "时效性", "Validity", "", "有效", 10, _choices(PolicyValidity)),
    Column("source", "来源", "Source", "", "", 16),
    Column("source_id", "来源编号", "Id at the source", "", "", 16),
    Column("source_url", "原文链接", "Original page", "", "", 24),
)
_LISTS = frozenset(
    {"issuers", "districts", "industries", "enterprise_sizes", "enterprise_tags", "support_kinds", "materials"}
)
_DATES = frozenset({"apply_start", "apply_end", "written_on", "issued_on", "effective_from", "effective_to"})
_ENUMS: dict[str, Any] = {
    "level": PolicyLevel,
    "kind": PolicyKind,
    "apply_mode": ApplyMode,
    "validity": PolicyValidity,
    "enterprise_sizes": EnterpriseSize,
    "support_kinds": SupportKind,
}


def from_cells(cells: Mapping[str, str]) -> dict[str, Any]:
    """The values of one row of the Excel template: lists by semicolons, enumerations by label or code."""
    values: dict[str, Any] = {}
    for key, text in cells.items():
        if not text.strip():
            continue
        parts = [part.strip() for part in _LIST.split(text) if part.strip()]
        if key in _ENUMS:
            coded = [_code(_ENUMS[key], part) for part in parts]
            values[key] = coded if key in _LISTS else coded[0]
        elif key in _LISTS:
            values[key] = parts
        elif key in _DATES:
            values[key] = _day(text)
        else:
            values[key] = html_from_text(text) if key == "body" and "<p>" not in text else text.strip()
    return values


def _code(enum: Iterable[Any], label: str) -> str:
    for member in enum:
        if label in (member.value, member.zh, member.en):
            return str(member.value)
    return label
