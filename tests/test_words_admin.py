"""The library of sensitive words: collected, changed, queried by those who keep it (R-ADM-03)."""

from typing import Any

from sqlalchemy import select

from kit.db import database, fetch_one
from models.account import AuditEntry
from tests.conftest import Answer, Api, account

SAVE = """mutation Save($input: SensitiveWordSaveInput!) { sensitiveWordSave(input: $input) {
  word { id word category severity suggestion enabled } userErrors { code field } } }"""
DELETE = """mutation Delete($input: SensitiveWordDeleteInput!) { sensitiveWordDelete(input: $input) {
  deletedId userErrors { code field } } }"""
SAVE_EXCEPTION = """mutation Save($input: SensitiveExceptionSaveInput!) { sensitiveExceptionSave(input: $input) {
  exception { id phrase } userErrors { code field } } }"""
DELETE_EXCEPTION = """mutation Delete($input: SensitiveExceptionDeleteInput!) {
  sensitiveExceptionDelete(input: $input) {
  deletedId userErrors { code field } } }"""
LIBRARY = """query Library($filter: SensitiveWordFilter) { sensitiveWordLibrary(filter: $filter, first: 100) {
  totalCount nodes { word } } }"""
GUARANTEE = {"word": "包过", "category": "承诺", "severity": "BLOCK", "suggestion": "协助申报"}


async def save(api: Api, viewer: str = "admin", **word: Any) -> Answer:
    payload = (await api(SAVE, viewer=viewer, input={**GUARANTEE, **word}))["sensitiveWordSave"]
    assert payload["userErrors"] == []
    saved: Answer = payload["word"]
    return saved


async def found(api: Api, text: str) -> list[str]:
    query = "query Find($text: String!) { sensitiveWords(text: $text) { word } }"
    return [match["word"] for match in (await api(query, viewer="seller", text=text))["sensitiveWords"]]


async def words(api: Api, **filters: Any) -> list[str]:
    return [
        node["word"] for node in (await api(LIBRARY, viewer="admin", filter=filters))["sensitiveWordLibrary"]["nodes"]
    ]


async def test_a_word_is_pointed_out_from_the_moment_it_is_added(api: Api) -> None:
    assert await found(api, "认定包过") == []
    word = await save(api)
    assert word == {**GUARANTEE, "id": word["id"], "enabled": True}
    assert await found(api, "认定 包 过") == ["包过"]


async def test_a_changed_word_is_found_in_its_new_form(api: Api) -> None:
    word = await save(api)
    changed = await save(api, id=word["id"], word="稳过", severity="WARN", suggestion="")
    assert changed == {**word, "word": "稳过", "severity": "WARN", "suggestion": ""}
    assert await found(api, "包过稳过") == ["稳过"]


async def test_a_change_that_commits_late_is_noticed_too(api: Api) -> None:
    """Its time lies before that of a change which was committed, and seen, first."""
    await save(api)
    await save(api, word="拍胸脯")
    assert await found(api, "包过,拍胸脯") == ["包过", "拍胸脯"]
    late = """UPDATE sensitive_word SET word = '稳过', updated_at = updated_at + interval '1 microsecond'
      WHERE word = '包过'"""
    async with database.writes.begin() as connection:
        await connection.exec_driver_sql(late)
    assert await found(api, "包过,稳过") == ["稳过"]


async def test_a_disabled_word_rests(api: Api) -> None:
    word = await save(api)
    await save(api, id=word["id"], enabled=False)
    assert await found(api, "包过") == []
    assert await words(api, enabled=False) == ["包过"]


async def test_a_deleted_word_is_gone(api: Api) -> None:
    word = await save(api)
    deleted = (await api(DELETE, viewer="admin", input={"id": word["id"]}))["sensitiveWordDelete"]
    assert deleted == {"deletedId": word["id"], "userErrors": []}
    assert await found(api, "包过") == []
    assert await api.refusals(DELETE, viewer="admin", input={"id": word["id"]}) == [("NOT_FOUND", ["id"])]
    again = {**GUARANTEE, "id": word["id"]}
    assert await api.refusals(SAVE, viewer="admin", input=again) == [("NOT_FOUND", ["id"])]


async def test_a_word_is_harmless_inside_an_exception(api: Api) -> None:
    await save(api)
    given = {"phrase": "包过年"}
    exception = (await api(SAVE_EXCEPTION, viewer="admin", input=given))["sensitiveExceptionSave"]["exception"]
    assert exception == {**given, "id": exception["id"]}
    assert await found(api, "包过年,包过") == ["包过"]
    changed = {"id": exception["id"], "phrase": "包过冬"}
    await api(SAVE_EXCEPTION, viewer="admin", input=changed)
    assert await found(api, "包过年") == ["包过"]
    assert await found(api, "包过冬") == []
    query = "query E($filter: SensitiveExceptionFilter) { sensitiveExceptions(filter: $filter) { nodes { phrase } } }"
    listed = await api(query, viewer="reviewer", filter={"keyword": "过冬"})
    assert listed["sensitiveExceptions"]["nodes"] == [{"phrase": "包过冬"}]
    await api(DELETE_EXCEPTION, viewer="admin", input={"id": exception["id"]})
    assert await found(api, "包过冬") == ["包过"]


async def test_what_cannot_stand_in_the_library_is_refused(api: Api) -> None:
    for changes, refusal in (
        ({"word": "最佳"}, ("ALREADY_EXISTS", ["word"])),
        ({"word": " - "}, ("INVALID_VALUE", ["word"])),
        ({"word": ""}, ("INVALID_VALUE", ["word"])),
        ({"word": "过" * 51}, ("INVALID_VALUE", ["word"])),
        ({"category": ""}, ("INVALID_VALUE", ["category"])),
        ({"id": "policy_" + "0" * 32}, ("NOT_FOUND", ["id"])),
    ):
        assert await api.refusals(SAVE, viewer="admin", input={**GUARANTEE, **changes}) == [refusal]


async def test_an_exception_stands_once(api: Api) -> None:
    given = {"phrase": "最低工资"}
    assert await api.refusals(SAVE_EXCEPTION, viewer="admin", input=given) == [("ALREADY_EXISTS", ["phrase"])]
    assert await api.refusals(SAVE_EXCEPTION, viewer="admin", input={"phrase": "·"}) == [("INVALID_VALUE", ["phrase"])]


async def test_filters_keep_what_they_say(api: Api) -> None:
    await save(api)
    await save(api, word="拍胸脯", severity="WARN", suggestion="")
    assert await words(api, categories=["承诺"]) == ["拍胸脯", "包过"]
    assert await words(api, categories=["承诺"], severities=["BLOCK"]) == ["包过"]
    assert await words(api, keyword="协助申报") == ["包过"]
    assert await words(api, keyword="拍胸") == ["拍胸脯"]
    assert await words(api, enabled=False) == []


async def test_the_library_pages_through_every_word_once(api: Api) -> None:
    query = """query Page($after: String) { sensitiveWordLibrary(first: 40, after: $after) {
      totalCount nodes { word } pageInfo { hasNextPage endCursor } } }"""
    seen: list[str] = []
    cursor = None
    while True:
        page = (await api(query, viewer="staff", after=cursor))["sensitiveWordLibrary"]
        seen += [node["word"] for node in page["nodes"]]
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(seen) == len(set(seen)) == page["totalCount"]


async def test_only_administrators_and_the_centre_change_the_library(api: Api) -> None:
    for viewer in ("reviewer", "seller", "district", "buyer", None):
        answer = await api.raw(SAVE, viewer=viewer, input=GUARANTEE)
        assert answer["data"] == {"sensitiveWordSave": None}
        code = "ACCESS_DENIED" if viewer else "UNAUTHENTICATED"
        assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


async def test_who_does_not_keep_the_library_does_not_read_it(api: Api) -> None:
    """Neither as a list nor as a federation entity: a list of words is a guide to evading them."""
    word = await save(api)
    for viewer in ["seller", "district", "buyer"]:
        answer = await api.raw(LIBRARY, viewer=viewer)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["ACCESS_DENIED"]
        query = """query Entity($id: ID!) { _entities(representations: [{__typename: "SensitiveWord", id: $id}]) {
          ... on SensitiveWord { word } } }"""
        assert (await api.raw(query, viewer=viewer, id=word["id"]))["data"] == {"_entities": [None]}
        assert (await api.raw(query, viewer="reviewer", id=word["id"]))["data"] == {"_entities": [{"word": "包过"}]}


async def test_each_change_is_audited(api: Api) -> None:
    word = await save(api, viewer="staff")
    await api(DELETE, viewer="admin", input={"id": word["id"]})
    for username, action, details in (
        ("staff", "sensitiveWordSave", {**GUARANTEE, "enabled": True}),
        ("admin", "sensitiveWordDelete", {"word": "包过"}),
    ):
        row = await fetch_one(select(AuditEntry).where(AuditEntry.action == action))  # type: ignore[arg-type]
        assert row is not None
        assert (row["actor_id"], row["targets"], row["details"]) == (
            (await account(username)).id,
            [word["id"]],
            details,
        )
