"""The record of what staff did (R-SEC-02, R-SEC-03)."""

from tests.conftest import Api
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
