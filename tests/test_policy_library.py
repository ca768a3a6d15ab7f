"""Finding policies by what they are, declarations by their deadline, and the data dictionary of both.

R-BASE-04, R-BASE-05, R-POL-01, R-BDC-15, R-STO-12.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kit import clock
from models import PolicyValues
from tests.conftest import Api, shift
from tests.test_policy import publish

LIBRARY = """query Library($filter: PolicyFilter, $orderBy: PolicyOrder! = NEWEST) {
  policies(filter: $filter, orderBy: $orderBy, first: 100) { totalCount nodes { title } } }"""
TODAY = """query Today($filter: PolicyFilter, $first: Int, $after: String) {
  todayDeclarations(filter: $filter, first: $first, after: $after) { totalCount pageInfo { endCursor }
    nodes { title applyStart applyEnd daysLeft applicationStatus target requirements materials applyUrl } } }"""
OFFLINE = """mutation Offline($input: ItemTakeOfflineInput!) {
  itemTakeOffline(input: $input) { userErrors { code } } }"""
CALL: dict[str, Any] = {"kind": "DECLARATION", "departmentCode": None}


@pytest.fixture(autouse=True)
async def _noon(api: Api) -> AsyncIterator[None]:
    """Noon in Shanghai on 24 November 2026, half a day from where the calendar turns over."""
    await shift(datetime(2026, 11, 24, 4, tzinfo=UTC) - clock.real())
    yield
    clock.set_offset(timedelta())


async def titles(api: Api, order: str = "NEWEST", viewer: str | None = None, **filters: Any) -> list[str]:
    found = (await api(LIBRARY, viewer=viewer, filter=filters, orderBy=order))["policies"]
    assert found["totalCount"] == len(found["nodes"])
    return [node["title"] for node in found["nodes"]]


async def today(api: Api, **filters: Any) -> list[str]:
    return [node["title"] for node in (await api(TODAY, filter=filters))["todayDeclarations"]["nodes"]]


async def test_the_library_is_narrowed_by_what_a_policy_is(api: Api) -> None:
    """R-BASE-05: keyword, level, department, type, industry, enterprise scale, year; the other filters beside them."""
    await publish(api, title="市级贴息办法", issuedOn="2026-05-01", industries=["C"], enterpriseSizes=["SMALL"])
    await publish(
        api,
        "admin",
        title="浦东新区房租减免",
        documentNo="浦府规〔2025〕3号",
        issuers=["上海市浦东新区人民政府"],
        level="DISTRICT",
        kind="MEASURE",
        departmentCode=None,
        districts=["310115"],
        issuedOn="2025-12-31",
        industries=["I65"],
        enterpriseSizes=["MICRO"],
        enterpriseTags=["专精特新"],
        supportKinds=["RENT"],
        amountMax="500000",
    )
    everything = ["浦东新区房租减免", "市级贴息办法"]
    assert await titles(api) == everything
    for filters, expected in (
        ({"keyword": "房租"}, "浦东新区房租减免"),
        ({"keyword": "浦东新区人民政府"}, "浦东新区房租减免"),
        ({"levels": ["MUNICIPAL"]}, "市级贴息办法"),
        ({"departments": ["SHEITC"]}, "市级贴息办法"),
        ({"kinds": ["MEASURE"]}, "浦东新区房租减免"),
        ({"industries": ["C"]}, "市级贴息办法"),
        ({"enterpriseSizes": ["MICRO"]}, "浦东新区房租减免"),
        ({"issuedYear": 2026}, "市级贴息办法"),
        ({"issuedYear": 2025}, "浦东新区房租减免"),
        ({"documentNo": "浦府规[2025] 03号"}, "浦东新区房租减免"),
        ({"districts": ["310104"]}, "市级贴息办法"),
        ({"enterpriseTags": ["专精特新"]}, "浦东新区房租减免"),
        ({"supportKinds": ["RENT", "TAX"]}, "浦东新区房租减免"),
        ({"amountAtLeast": "500000"}, "浦东新区房租减免"),
    ):
        assert await titles(api, **filters) == [expected], filters
    for filters, expected_all in (
        ({"levels": ["MUNICIPAL", "DISTRICT"]}, everything),
        ({"validities": ["VALID"]}, everything),
        ({"districts": ["310115"]}, everything),
        ({"levels": ["MUNICIPAL"], "kinds": ["MEASURE"]}, []),
        ({"keyword": "%"}, []),
        ({"issuedYear": 2024}, []),
    ):
        assert await titles(api, **filters) == expected_all, filters
    assert await titles(api, "ISSUED") == ["市级贴息办法", "浦东新区房租减免"]


async def test_managers_find_what_is_offline_and_the_public_does_not(api: Api) -> None:
    """R-BASE-03."""
    policy = await publish(api, title="已停止执行的办法")
    await api(OFFLINE, viewer="department", input={"id": policy, "reason": "停止执行"})
    assert await titles(api, viewer="department", states=["OFFLINE"]) == ["已停止执行的办法"]
    assert await titles(api, viewer="department", states=["PUBLISHED"]) == []
    assert await titles(api, states=["OFFLINE"]) == []


async def test_today_s_declarations_are_those_open_today_the_nearest_deadline_first(api: Api) -> None:
    """R-BASE-04: the window includes both its days; other kinds of policy are none."""
    for title, window in (
        ("下月截止", {"applyStart": "2026-11-01", "applyEnd": "2026-12-24"}),
        ("长期有效", {"applyStart": "2026-11-01"}),
        ("今天截止", {"applyStart": "2026-11-01", "applyEnd": "2026-11-24"}),
        ("今天开始", {"applyStart": "2026-11-24", "applyEnd": "2026-11-30"}),
        ("昨天截止", {"applyStart": "2026-11-01", "applyEnd": "2026-11-23"}),
        ("明天开始", {"applyStart": "2026-11-25", "applyEnd": "2026-11-30"}),
    ):
        await publish(api, "admin", **CALL, title=title, documentNo=None, **window)
    measure: dict[str, Any] = {"applyStart": "2026-11-01", "applyEnd": "2026-11-30", "documentNo": None}
    await publish(api, title="不是申报通知", **measure)
    found = (await api(TODAY))["todayDeclarations"]
    assert found["totalCount"] == 4
    assert [(node["title"], node["daysLeft"], node["applicationStatus"]) for node in found["nodes"]] == [
        ("今天截止", 0, "OPEN"),
        ("今天开始", 6, "OPEN"),
        ("下月截止", 30, "OPEN"),
        ("长期有效", None, "OPEN"),
    ]
    first = (await api(TODAY, first=2))["todayDeclarations"]
    rest = (await api(TODAY, first=2, after=first["pageInfo"]["endCursor"]))["todayDeclarations"]
    assert [node["title"] for node in rest["nodes"]] == ["下月截止", "长期有效"]
    assert await titles(api, applicationStatuses=["UPCOMING"]) == ["明天开始"]
    assert await titles(api, applicationStatuses=["CLOSED"]) == ["昨天截止"]
    await shift(clock.offset() + timedelta(hours=12))
    assert await today(api) == ["今天开始", "明天开始", "下月截止", "长期有效"]


async def test_today_s_declarations_are_narrowed_by_place_department_and_industry(api: Api) -> None:
    """R-BASE-04, with what an applicant needs to know."""
    window: dict[str, Any] = {"applyStart": "2026-11-01", "documentNo": None, "kind": "DECLARATION"}
    details: dict[str, Any] = {
        "target": "在本市登记的企业",
        "requirements": "上年度研发费用不低于八百万元",
        "materials": ["申请表", "审计报告"],
        "applyUrl": "https://one-netcom.example/declarations/1",
    }
    await publish(api, title="经信委制造业申报", applyEnd="2026-11-30", industries=["C"], **window, **details)
    await publish(
        api, "admin", title="浦东申报", applyEnd="2026-12-01", districts=["310115"], departmentCode=None, **window
    )
    assert await today(api, districts=["310115"]) == ["经信委制造业申报", "浦东申报"]
    assert await today(api, districts=["310104"]) == ["经信委制造业申报"]
    assert await today(api, departments=["SHEITC"]) == ["经信委制造业申报"]
    assert await today(api, departments=["SHSTC"]) == []
    assert await today(api, industries=["I65"]) == ["浦东申报"]
    (node,) = (await api(TODAY, filter={"departments": ["SHEITC"]}))["todayDeclarations"]["nodes"]
    assert {name: node[name] for name in details} == details


async def test_an_interpretation_stands_with_the_policy_it_explains(api: Api) -> None:
    """R-BASE-05."""
    policy = await publish(api)
    reading = await publish(api, title="一图读懂若干措施", kind="INTERPRETATION", documentNo=None, interpretsId=policy)
    query = """query P($id: ID!) { policy(id: $id) {
      interpretations { nodes { id } } interprets { id } } }"""
    assert (await api(query, id=policy))["policy"] == {
        "interpretations": {"nodes": [{"id": reading}]},
        "interprets": None,
    }
    assert (await api(query, id=reading))["policy"]["interprets"] == {"id": policy}


async def test_the_data_dictionary_is_read_by_machines(api: Api) -> None:
    """R-BDC-15: every field that a policy is written with, whether it must be there, and the codes it may hold."""
    query = """{ policyDictionary { name label meaning type several required maxLength codeList
      codes { code label meaning } } }"""
    fields = {field["name"]: field for field in (await api(query))["policyDictionary"]}
    written = (await api('{ __type(name: "PolicyInput") { inputFields { name } } }', viewer="admin"))["__type"]
    assert [name for name in fields if "." not in name] == [each["name"] for each in written["inputFields"]]
    assert len(written["inputFields"]) == len(PolicyValues.model_fields)
    plain: dict[str, Any] = {"several": False, "maxLength": None, "codeList": None, "codes": []}
    assert fields["title"] == {
        **plain,
        "name": "title",
        "label": "标题",
        "meaning": "Title",
        "type": "TEXT",
        "required": True,
        "maxLength": 300,
    }
    assert (fields["level"]["type"], fields["level"]["required"]) == ("CODE", True)
    assert fields["level"]["codes"][2] == {"code": "MUNICIPAL", "label": "市", "meaning": "Municipal"}
    assert (fields["districts"]["type"], fields["districts"]["several"]) == ("CODE", True)
    assert [fields[name]["codeList"] for name in ("departmentCode", "districts", "industries")] == [
        "departments",
        "districts",
        "industries",
    ]
    assert [fields[name]["type"] for name in ("applyEnd", "amountMax", "interpretsId", "conditions")] == [
        "DATE",
        "DECIMAL",
        "ID",
        "GROUP",
    ]
    assert fields["conditions.comparison"]["codes"][0]["code"] == "AT_LEAST"
    assert (fields["conditions.value"]["type"], fields["attachments.size"]["type"]) == ("NUMBER", "INTEGER")
