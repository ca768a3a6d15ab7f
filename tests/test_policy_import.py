"""Importing policies from files, and through upload, mutation and job (R-POL-02, R-ADM-13)."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select

from kit.db import fetch_value
from kit.excel import write_rows, write_template
from kit.settings import ROOT
from models.policy import Policy
from models.publishing import Revision
from services.policy import files
from services.policy.records import COLUMNS
from services.uow import unit_of_work
from tests.conftest import Api, Settle, account, token

REAL = ROOT.parent / "shared" / "data" / "policies" / "policies.jsonl"
IMPORT = """mutation Import($input: PolicyImportInput!) {
  policyImport(input: $input) { job { id state } userErrors { code field } } }"""
CANCEL = """mutation Stop($input: JobCancelInput!) {
  jobCancel(input: $input) { job { state } userErrors { code field } } }"""
JOB = "query Job($id: ID!) { job(id: $id) { state total done failed result message problemsUrl } }"


def record(**changes: Any) -> dict[str, Any]:
    return {
        "id": "T1",
        "source": "测试来源",
        "title": "关于支持中小企业数字化转型的通知",
        "issuer": "上海市经济和信息化委员会、上海市财政局",
        "doc_no": "沪经信企[2026] 08 号",
        "level": "市级",
        "region": "上海市",
        "publish_date": "2026-03-01",
        "kind": "规范性文件",
        "topic": "数字化",
        "body": "第一条 支持转型。\n第二条 给予补助。",
        **changes,
    }


def jsonl(*records: dict[str, Any]) -> bytes:
    return b"\n".join(orjson.dumps(each) for each in records)


async def imported(
    content: bytes, name: str = "p.jsonl", *, user: str = "admin", publish: bool = False
) -> files.Report:
    viewer = await account(user)
    async with unit_of_work() as uow:
        return await files.import_policies(uow, viewer, files.read(name, content), publish=publish)


async def upload(api: Api, content: bytes, name: str, viewer: str = "admin") -> dict[str, Any]:
    headers = {"authorization": f"Bearer {await token(viewer)}"}
    response = await api.client.post("/files", params={"name": name}, content=content, headers=headers)
    body: dict[str, Any] = response.json()
    return {"status": response.status_code, **body}


async def count(model: type[Policy] | type[Revision]) -> int:
    return int(await fetch_value(select(func.count()).select_from(model)))


async def test_a_second_import_of_the_same_file_changes_nothing_and_says_so(api: Api) -> None:
    content = jsonl(record(), record(id="T2", title="另一项政策措施", doc_no=""))
    first = await imported(content)
    assert (first.created, first.changed, first.unchanged, first.errors) == (2, 0, 0, [])
    again = await imported(content)
    assert (again.created, again.changed, again.unchanged) == (0, 0, 2)
    assert await count(Revision) == 2
    assert await count(Policy) == 0


async def test_a_changed_row_becomes_a_draft_of_the_same_policy(api: Api) -> None:
    await imported(jsonl(record()), publish=True)
    report = await imported(jsonl(record(title="关于支持中小企业数字化转型的通知（修订）")))
    assert (report.created, report.changed, report.unchanged) == (0, 1, 0)
    revisions = (await api("{ revisions { nodes { no state title isNew changes { field } } } }", viewer="admin"))[
        "revisions"
    ]
    assert revisions["nodes"][0] == {
        "no": 2,
        "state": "DRAFT",
        "title": "关于支持中小企业数字化转型的通知（修订）",
        "isNew": False,
        "changes": [{"field": "title"}],
    }
    assert await count(Policy) == 1


async def test_without_a_source_id_title_and_number_together_decide(api: Api) -> None:
    await imported(jsonl(record(id="")))
    same = await imported(jsonl(record(id="", doc_no="沪经信企〔2026〕8号")))
    assert (same.created, same.unchanged) == (0, 1)
    other = await imported(jsonl(record(id="", doc_no="沪经信企〔2026〕9号")))
    assert (other.created, [(warning.row, warning.column) for warning in other.warnings]) == (1, [(1, "title")])
    number_alone = await imported(jsonl(record(id="", title="同一文号的另一政策")))
    assert (number_alone.created, [warning.column for warning in number_alone.warnings]) == (1, ["document_no"])


async def test_bad_rows_are_named_by_row_and_column_and_the_good_ones_are_written(api: Api) -> None:
    report = await imported(
        jsonl(
            record(),
            record(id="T2", title=""),
            record(id="T3", level="月球"),
            record(id="T4", publish_date="昨天"),
            record(),
        )
    )
    assert report.created == 1
    assert [(problem.row, problem.column) for problem in report.errors] == [
        (2, "title"),
        (3, "level"),
        (4, "issued_on"),
        (5, "source_id"),
    ]
    assert report.errors[0].zh == "至少需 2 个字符"
    assert "5,来源编号 source_id,错误 error,与第 1 行是同一政策,is the same policy as row 1" in files.problems_csv(
        report
    )


async def test_an_excel_file_by_the_template_is_imported(api: Api) -> None:
    row = {
        "title": "关于高新技术企业贴息的申报通知",
        "issuers": "上海市科学技术委员会；上海市财政局",
        "document_no": "沪科规（2026）3号",
        "level": "市",
        "kind": "申报通知",
        "enterprise_sizes": "小型企业;微型企业",
        "apply_start": "2026-11-01",
        "apply_end": "2026-12-31",
        "amount_max": "500000",
        "body": "支持内容。",
    }
    report = await imported(write_rows(COLUMNS, [row]), "p.xlsx")
    assert (report.created, report.errors) == (1, [])
    (node,) = (await api("{ revisions { nodes { values } } }", viewer="admin"))["revisions"]["nodes"]
    values = node["values"]
    assert values["issuers"] == ["上海市科学技术委员会", "上海市财政局"]
    assert (values["document_no"], values["level"], values["kind"]) == ("沪科规〔2026〕3号", "MUNICIPAL", "DECLARATION")
    assert (values["enterprise_sizes"], values["apply_end"]) == (["SMALL", "MICRO"], "2026-12-31")
    assert write_template(COLUMNS).startswith(b"PK")


async def test_the_template_is_downloaded_and_filled_in(api: Api) -> None:
    response = await api.client.get("/templates/policies.xlsx")
    assert response.headers["content-disposition"] == "attachment; filename=policies.xlsx"
    assert response.content.startswith(b"PK")
    assert (await imported(response.content, "p.xlsx")).total == 0
    assert (await api.client.get("/templates/others.xlsx")).status_code == 404


async def test_a_manager_imports_only_what_is_his_own(api: Api) -> None:
    report = await imported(
        jsonl(record(), record(id="T2", title="科委的政策措施", issuer="上海市科学技术委员会")), user="department"
    )
    assert (report.created, [(problem.row, problem.column) for problem in report.errors]) == (
        1,
        [(2, "department_code")],
    )


async def test_upload_mutation_and_job_import_a_file_with_its_problems_as_a_file(api: Api, settle: Settle) -> None:
    sent = await upload(api, jsonl(record(), record(id="T2", title="")), "政策.jsonl")
    assert (sent["status"], sent["name"], sent["contentType"]) == (201, "政策.jsonl", "application/jsonl")
    queued = (await api(IMPORT, viewer="admin", input={"fileId": sent["id"]}))["policyImport"]
    assert (queued["job"]["state"], queued["userErrors"]) == ("QUEUED", [])
    await settle()
    job = (await api(JOB, viewer="admin", id=queued["job"]["id"]))["job"]
    assert (job["state"], job["total"], job["done"], job["failed"], job["message"]) == ("DONE", 2, 2, 1, "")
    assert job["result"] == {"created": 1, "changed": 0, "unchanged": 0, "warnings": 0}
    problems = await api.client.get(job["problemsUrl"])
    assert "2,标题 title,错误 error,至少需 2 个字符,needs at least 2 characters" in problems.text
    assert problems.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
    assert (await api(JOB, viewer="department", id=queued["job"]["id"])) == {"job": None}


async def test_a_file_that_cannot_be_read_fails_the_job_with_its_reason(api: Api, settle: Settle) -> None:
    sent = await upload(api, b'{"title": "x"}\n{broken', "p.jsonl")
    queued = (await api(IMPORT, viewer="admin", input={"fileId": sent["id"]}))["policyImport"]["job"]
    await settle()
    job = (await api(JOB, viewer="admin", id=queued["id"]))["job"]
    assert (job["state"], job["message"]) == ("FAILED", "文件无法读取：第 2 行不是 JSON")
    assert await count(Revision) == 0


async def test_a_cancelled_job_writes_nothing(api: Api, settle: Settle) -> None:
    sent = await upload(api, jsonl(record()), "p.jsonl")
    queued = (await api(IMPORT, viewer="admin", input={"fileId": sent["id"]}))["policyImport"]["job"]
    assert (await api(CANCEL, viewer="admin", input={"id": queued["id"]}))["jobCancel"]["job"] == {"state": "CANCELLED"}
    assert await api.refusals(CANCEL, viewer="admin", input={"id": queued["id"]}) == [("JOB_ENDED", ["id"])]
    await settle()
    assert await count(Revision) == 0


@pytest.mark.parametrize(
    ("content", "name", "status", "code"),
    [
        (b"", "p.jsonl", 400, "BAD_FILE"),
        (b"<html>", "p.xlsx", 400, "BAD_FILE"),
        (b"MZ", "virus.exe", 400, "BAD_FILE"),
        (b"x" * (50 * 1024 * 1024 + 1), "big.txt", 413, "FILE_TOO_LARGE"),
    ],
)
async def test_uploads_are_refused_by_type_and_size(
    api: Api, content: bytes, name: str, status: int, code: str
) -> None:
    """R-SEC-02"""
    answer = await upload(api, content, name)
    assert (answer["status"], answer["errors"][0]["code"]) == (status, code)


async def test_only_the_signed_in_upload_and_a_file_of_another_is_not_imported(api: Api) -> None:
    assert (await api.client.post("/files", params={"name": "p.txt"}, content=b"x")).status_code == 401
    sent = await upload(api, jsonl(record()), "p.jsonl", viewer="admin")
    assert await api.refusals(
        IMPORT,
        viewer="department",
        input={"fileId": sent["id"]},
    ) == [("NOT_FOUND", ["fileId"])]


async def test_a_range_of_a_file_is_served(api: Api) -> None:
    sent = await upload(api, b"0123456789", "p.txt")
    part = await api.client.get(sent["url"], headers={"range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert (await api.client.get("/files/none/none.txt")).status_code == 404


@pytest.mark.skipif(not REAL.exists(), reason="the real policies are not beside this checkout")
async def test_all_real_policies_are_imported_once(api: Api) -> None:
    content = await asyncio.to_thread(Path(REAL).read_bytes)
    first = await imported(content, publish=True)
    assert (first.created, first.errors) == (408, [])
    again = await imported(content, publish=True)
    assert (again.created, again.changed, again.unchanged) == (0, 0, 408)
    assert await count(Policy) == 408


async def test_no_name_or_range_that_a_client_makes_up_breaks_a_file(api: Api) -> None:
    """Neither U+0000 nor marks of direction are kept in a name; ranges that mean nothing are passed over (RFC 9110)."""
    kept = await upload(api, b"0123456789", "a\0\r\n\u202efdp.txt")
    assert (kept["status"], kept["name"]) == (201, "afdp.txt")
    for span in ("bytes=5-2", "bytes=10-", "bytes=-", f"bytes={'9' * 5000}-", "bytes=0-1,3-4", "lines=0-1"):
        response = await api.client.get(kept["url"], headers={"range": span})
        assert (response.status_code, response.content) == (200, b"0123456789")
    response = await api.client.get(kept["url"], headers={"range": "bytes=2-4"})
    assert (response.status_code, response.content) == (206, b"234")
    assert response.headers["content-range"] == "bytes 2-4/10"
    assert (await api.client.get("/files/a%00b")).status_code == 404
