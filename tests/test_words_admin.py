"""The library of sensitive words: collected, changed, queried by those who keep it (R-ADM-03)."""

from typing import Any

from sqlalchemy import select

from kit.db import database, fetch_one
from kit.excel import read_rows, write_rows
from models.account import AuditEntry
from services.words import COLUMNS
from tests.conftest import Answer, Api, Settle, account
from tests.test_policy_import import JOB, upload

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
IMPORT = """mutation Import($input: SensitiveWordImportInput!) {
  sensitiveWordImport(input: $input) { job { id state } userErrors { code field } } }"""
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
    async with database.write() as writing:
        await writing.connection.execute(late)
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


async def imported(api: Api, settle: Settle, content: bytes) -> Answer:
    """The job that imported the file, at its end."""
    sent = await upload(api, content, "敏感字.xlsx")
    queued = (await api(IMPORT, viewer="admin", input={"fileId": sent["id"]}))["sensitiveWordImport"]
    assert (queued["job"]["state"], queued["userErrors"]) == ("QUEUED", [])
    await settle()
    job: Answer = (await api(JOB, viewer="admin", id=queued["job"]["id"]))["job"]
    return job


async def test_words_are_imported_from_excel_and_bad_rows_reported(api: Api, settle: Settle) -> None:
    """R-ADM-03: good rows are written, a word that is there is changed, each bad row is named with its reason."""
    await save(api, word="稳过", severity="WARN")
    content = write_rows(
        COLUMNS,
        [
            {"word": "包过", "category": "承诺", "severity": "禁止发布", "suggestion": "协助申报"},
            {"word": "稳过", "category": "承诺", "severity": "BLOCK", "enabled": "是"},
            {"word": "祖传门路", "category": "承诺", "severity": "需确认", "enabled": "否"},
            {"word": "必中", "category": "承诺", "severity": "严重"},
            {"word": "·", "category": "承诺", "severity": "WARN"},
            {"word": "包过", "category": "承诺", "severity": "WARN"},
            {"category": "承诺", "severity": "WARN", "word": "必得", "enabled": "也许"},
        ],
    )
    job = await imported(api, settle, content)
    assert (job["state"], job["total"], job["done"], job["failed"], job["message"]) == ("DONE", 7, 7, 4, "")
    assert job["result"] == {"created": 2, "changed": 1, "unchanged": 0, "warnings": 0}
    problems = (await api.client.get(job["problemsUrl"])).text.splitlines()
    assert [line.split(",")[:2] for line in problems[1:]] == [
        ["5", "级别 severity"],
        ["6", "敏感字 word"],
        ["7", "敏感字 word"],
        ["8", "启用 enabled"],
    ]
    assert "与第 2 行是同一敏感字,is the same word as row 2" in problems[3]
    assert await found(api, "包过,稳过,祖传门路") == ["包过", "稳过"]
    assert await words(api, enabled=False) == ["祖传门路"]
    audited = "{ auditEntries(first: 1) { nodes { action targets } } }"
    (entry,) = (await api(audited, viewer="admin"))["auditEntries"]["nodes"]
    assert (entry["action"], len(entry["targets"])) == ("sensitiveWordImport", 3)
    again = await imported(api, settle, content)
    assert again["result"] == {"created": 0, "changed": 0, "unchanged": 3, "warnings": 0}


async def test_the_template_for_words_is_downloaded_and_filled_in(api: Api, settle: Settle) -> None:
    response = await api.client.get("/templates/words.xlsx")
    assert response.headers["content-disposition"] == "attachment; filename=words.xlsx"
    assert list(read_rows(response.content, COLUMNS)) == []
    job = await imported(api, settle, response.content)
    assert (job["state"], job["total"], job["problemsUrl"]) == ("DONE", 0, None)
    broken = await imported(api, settle, b"PK\x03\x04 and no more")
    assert (broken["state"], broken["message"]) == ("FAILED", "文件无法读取：文件不是 .xlsx 格式")


async def test_words_are_imported_by_those_who_keep_the_library_from_files_of_their_own(api: Api) -> None:
    sent = await upload(api, b"PK\x03\x04", "w.xlsx", viewer="seller")
    for_seller = await api.raw(IMPORT, viewer="seller", input={"fileId": sent["id"]})
    assert for_seller["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    for file in (sent["id"], "junk"):
        assert await api.refusals(IMPORT, viewer="admin", input={"fileId": file}) == [("NOT_FOUND", ["fileId"])]
