"""The record of what staff did (R-SEC-02, R-SEC-03)."""

import pytest

from tests.conftest import Api, token
from tests.test_policy import SAVE, values

ENTRIES = """query Entries($filter: AuditFilter) { auditEntries(filter: $filter) { totalCount
  nodes { id action targets details actor { username } requestId } } }"""


async def test_an_administrator_finds_who_did_what_to_which_thing(api: Api) -> None:
    revision = (await api(SAVE, viewer="department", input={"values": values()}))["policySave"]["revision"]
    await api(SAVE, viewer="admin", input={"values": values(title="平台发布的另一项措施")})
    found = (await api(ENTRIES, viewer="admin", filter={"targets": [revision["id"]]}))["auditEntries"]
    assert found["totalCount"] == 1
    (entry,) = found["nodes"]
    assert entry["action"] == "policySave"
    assert entry["targets"] == [revision["id"]]
    assert entry["actor"] == {"username": "department"}
    assert len(entry["requestId"]) == 32
    again = "query Again($id: ID!) { node(id: $id) { ... on AuditEntry { action } } }"
    assert (await api(again, viewer="admin", id=entry["id"]))["node"] == {"action": "policySave"}
    assert (await api(again, viewer="department", id=entry["id"]))["node"] is None
    everything = (await api(ENTRIES, viewer="admin", filter={"actions": ["policySave"]}))["auditEntries"]
    assert [each["actor"]["username"] for each in everything["nodes"]] == ["admin", "department"]
    assert (await api(ENTRIES, viewer="admin", filter={"until": "2020-01-01T00:00:00Z"}))["auditEntries"]["nodes"] == []


async def test_nobody_else_reads_it(api: Api) -> None:
    for viewer, code in ((None, "UNAUTHENTICATED"), ("reviewer", "ACCESS_DENIED"), ("staff", "ACCESS_DENIED")):
        answer = await api.raw(ENTRIES, viewer=viewer)
        assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


@pytest.mark.parametrize(("sent", "kept"), [("r-1.a_B", True), ("r 1", False), ("r" * 65, False), ("<r>", False)])
async def test_an_upload_is_found_by_its_request_id_if_that_is_fit_for_records(
    api: Api, sent: str, *, kept: bool
) -> None:
    headers = {"authorization": f"Bearer {await token('department')}", "x-request-id": sent}
    uploaded = await api.client.post("/files?name=a.txt", content=b"text", headers=headers)
    assert uploaded.status_code == 201
    found = await api(ENTRIES, viewer="admin", filter={"targets": [uploaded.json()["id"]]})
    (entry,) = found["auditEntries"]["nodes"]
    assert entry["action"] == "fileUpload"
    assert (entry["requestId"] == sent) == kept
    assert kept or len(entry["requestId"]) == 32
