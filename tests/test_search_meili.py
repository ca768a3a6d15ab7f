"""Search on a Meilisearch server: each request fits Meilisearch's own OpenAPI file, answers mean what ours mean."""

from collections.abc import AsyncIterator, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from kit.settings import Settings
from search import meili, open_index
from search.base import FOREVER, PUBLIC, Document, NeedsRebuild, Query, Removal, SearchType, SearchUnavailable
from search.meili import MeiliIndex
from tests.meili_stub import MISSING, OPENAPI, Contract, Refusal, Served, parsed, served

pytestmark = pytest.mark.skipif(not OPENAPI.exists(), reason=MISSING)

POLICY, STORE, PRODUCT, ARTICLE = SearchType
KEY = "a-search-key"

LIBRARY = [
    Document(
        "policy_1",
        POLICY,
        "上海市促进中小企业发展条例",
        "鼓励专精特新中小企业",
        facets={"level": ("市",), "industry": ("C", "I")},
        numbers={"published_at": 300},
    ),
    Document(
        "policy_2",
        POLICY,
        "小巨人企业<贴息>办法",
        "贷款贴息最高100万元",
        "沪府规〔2024〕5号",
        facets={"level": ("市",)},
        numbers={"published_at": 200},
    ),
    Document("policy_3", POLICY, "高新技术企业补贴", facets={"level": ("区",)}, numbers={"published_at": 100}),
    Document("store_4", STORE, "黄浦区旗舰店", "企业服务"),
    Document("article_5", ARTICLE, "内部通报", "仅限黄浦区", scopes=("district:310101",)),
]


@pytest.fixture
def server() -> Iterator[Served]:
    yield from served(KEY)


@pytest.fixture
async def index(server: Served) -> AsyncIterator[MeiliIndex]:
    made = MeiliIndex(server.url, KEY)
    assert await made.rebuild(stream(LIBRARY)) == len(LIBRARY)
    yield made
    assert server.stub.complaints == []
    await made.close()


async def stream(documents: Iterable[Document]) -> AsyncIterator[Document]:
    for document in documents:
        yield document


async def found(index: MeiliIndex, text: str, **rest: object) -> list[str]:
    return [hit.id for hit in (await index.search(Query(text, **rest))).hits]  # type: ignore[arg-type]


async def test_a_question_is_answered_in_the_shape_that_both_engines_share(index: MeiliIndex) -> None:
    results = await index.search(Query("企业", facets=("type", "level")))
    assert [hit.id for hit in results.hits] == ["policy_1", "policy_2", "policy_3", "store_4"]
    assert {hit.type for hit in results.hits} == {POLICY, STORE}
    assert results.total == 4
    assert results.facets == {"type": (("POLICY", 3), ("STORE", 1)), "level": (("市", 2), ("区", 1))}
    assert not results.degraded


async def test_what_matched_is_marked_and_everything_else_is_escaped(index: MeiliIndex) -> None:
    hit = (await index.search(Query("贴息"))).hits[0]
    assert {mark.field: mark.text for mark in hit.highlights} == {
        "title": "小巨人企业&lt;<mark>贴息</mark>&gt;办法",
        "body": "贷款<mark>贴息</mark>最高100万元",
    }


async def test_control_characters_in_a_text_cannot_pass_for_marks(index: MeiliIndex) -> None:
    await index.apply([Document("policy_6", POLICY, "伪造\x01标记\x02贴息")])
    hit = next(hit for hit in (await index.search(Query("贴息"))).hits if hit.id == "policy_6")
    assert hit.highlights[0].text == "伪造 标记 <mark>贴息</mark>"


async def test_results_are_filtered_bounded_and_sorted(index: MeiliIndex) -> None:
    assert await found(index, "", types=(POLICY,), sort="published_at") == ["policy_3", "policy_2", "policy_1"]
    assert await found(index, "", types=(POLICY,)) == ["policy_1", "policy_2", "policy_3"]
    assert await found(index, "", filters={"level": ("区",)}) == ["policy_3"]
    assert await found(index, "", ranges={"published_at": (100, 200)}) == ["policy_2", "policy_3"]
    assert await found(index, "", ranges={"published_at": (None, 100)}) == ["policy_3"]


async def test_pages_join_and_totals_are_exact_on_whole_pages(index: MeiliIndex, server: Served) -> None:
    pages = [await index.search(Query("", types=(POLICY,), limit=2, offset=offset)) for offset in (0, 2)]
    assert [hit.id for page in pages for hit in page.hits] == ["policy_1", "policy_2", "policy_3"]
    assert [page.total for page in pages] == [3, 3]
    assert server.stub.seen[-1][2] | {"hitsPerPage": 2, "page": 2} == server.stub.seen[-1][2]
    inside = await index.search(Query("", types=(POLICY,), limit=2, offset=1))
    assert [hit.id for hit in inside.hits] == ["policy_2", "policy_3"]
    assert server.stub.seen[-1][2] | {"limit": 2, "offset": 1} == server.stub.seen[-1][2]
    assert (await index.search(Query("", limit=0, facets=("level",)))).facets == {"level": (("市", 2), ("区", 1))}


async def test_a_viewer_finds_only_what_his_scopes_show(index: MeiliIndex, server: Served) -> None:
    assert await found(index, "内部通报") == []
    assert await found(index, "内部通报", scopes=(PUBLIC, "district:310101")) == ["article_5"]
    before = len(server.stub.seen)
    assert await found(index, "", scopes=()) == []
    assert len(server.stub.seen) == before


HOSTILE = ['"] OR scopes IN ["district:310101', "\\", '\\"', "'", '\\\\"] OR type EXISTS', "市\n", "，"]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_no_value_gets_out_of_its_quotes(index: MeiliIndex, hostile: str) -> None:
    assert await found(index, "", filters={"level": (hostile,)}) == []
    assert await found(index, "", scopes=(hostile,)) == []


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_every_value_reads_back_as_itself(value: str) -> None:
    name, test = parsed(f"facets.level IN [{meili.quoted(value)}]", "invalid")
    assert name == "facets.level"
    assert test(value)
    assert not test(value + "x")


def test_what_would_steer_the_server_is_taken_as_words() -> None:
    asked = meili.question(Query('"專精特新" -企业 沪府规〔2024〕5号'))
    assert asked["q"] == "专精特新 企业 沪府规〔2024〕5号"


async def test_an_older_version_never_replaces_a_newer_one(index: MeiliIndex) -> None:
    await index.apply([Document("policy_8", POLICY, "新版本", version=2)])
    await index.apply([Document("policy_8", POLICY, "旧版本", version=1)])
    assert (await found(index, "新版本"), await found(index, "旧版本")) == (["policy_8"], [])


async def test_what_was_removed_stays_away_until_it_is_newer(index: MeiliIndex) -> None:
    await index.apply([], [Removal("policy_3", 5)])
    await index.apply([Document("policy_3", POLICY, "高新技术企业补贴", version=4)])
    assert await found(index, "高新技术") == []
    await index.apply([Document("policy_3", POLICY, "高新技术企业补贴", version=6)], [Removal("store_4", FOREVER)])
    assert await found(index, "高新技术") == ["policy_3"]
    assert (await index.health()).documents == 3


async def test_apply_returns_only_when_its_task_is_done_and_raises_where_it_failed(
    index: MeiliIndex, server: Served
) -> None:
    await index.apply([Document("policy_9", POLICY, "等待任务")])
    assert server.stub.tasks[-1]["status"] == "succeeded"
    server.stub.fail_next = "no_space_left_on_device"
    with pytest.raises(SearchUnavailable, match="no_space_left_on_device"):
        await index.apply([Document("policy_10", POLICY, "磁盘已满")])
    with pytest.raises(SearchUnavailable, match="invalid_document_id"):
        await index.apply([Document("policy 11", POLICY, "坏标识")])
    await index.apply([Document("policy_10", POLICY, "磁盘已满")])
    assert await found(index, "磁盘") == ["policy_10"]


async def test_a_rebuild_swaps_without_a_gap_and_keeps_what_others_wrote_meanwhile(
    index: MeiliIndex, server: Served
) -> None:
    other = MeiliIndex(server.url, KEY)

    async def slow() -> AsyncIterator[Document]:
        yield Document("policy_1", POLICY, "重建甲", version=1)
        await other.apply([Document("policy_1", POLICY, "更新甲", version=2)], [Removal("policy_2", 3)])
        assert await found(index, "更新甲") == ["policy_1"]
        yield Document("policy_2", POLICY, "重建乙", version=1)

    late = {"id": "policy_7", "type": "POLICY", "title": "最后一刻", "body": "", "keywords": "", "version": 1}
    late |= {"scopes": [PUBLIC], "facets": {}, "epoch": 2}
    server.stub.before_swap = lambda: server.stub.indexes["esc"].documents.update({"policy_7": late})
    assert await index.rebuild(slow()) == 2
    assert sorted(await found(index, "")) == ["policy_1", "policy_7"]
    assert await found(index, "更新甲") == ["policy_1"]
    assert list(server.stub.indexes) == ["esc"]
    await other.close()


async def test_a_rebuild_that_failed_is_simply_run_again(index: MeiliIndex, server: Served) -> None:
    async def broken() -> AsyncIterator[Document]:
        yield Document("policy_50", POLICY, "半途")
        raise RuntimeError("database gone")

    with pytest.raises(RuntimeError, match="database gone"):
        await index.rebuild(broken())
    assert await found(index, "促进") == ["policy_1"]
    await index.rebuild(stream(LIBRARY))
    assert list(server.stub.indexes) == ["esc"]


async def test_without_an_index_or_with_one_of_another_form_a_rebuild_is_asked_for(server: Served) -> None:
    index = MeiliIndex(server.url, KEY)
    assert (await index.health()).needs_rebuild
    with pytest.raises(NeedsRebuild):
        await index.search(Query("企业"))
    with pytest.raises(NeedsRebuild):
        await index.apply(LIBRARY)
    await index.rebuild(stream(LIBRARY))
    health = await index.health()
    assert (health.engine, health.version, health.ok, health.needs_rebuild) == ("meilisearch", "1.53.0", True, False)
    assert health.documents == 4
    server.stub.indexes["esc"].documents["form"]["form"] = "older"
    assert (await index.health()).needs_rebuild
    with pytest.raises(NeedsRebuild):
        await index.apply(LIBRARY)
    await index.close()


async def test_a_server_that_is_down_is_said_to_be_and_used_again_when_it_is_back(
    index: MeiliIndex, server: Served
) -> None:
    server.stop()
    with pytest.raises(SearchUnavailable, match="does not answer"):
        await index.search(Query("企业"))
    with pytest.raises(SearchUnavailable):
        await index.apply([Document("policy_12", POLICY, "稍后再试")])
    health = await index.health()
    assert (health.ok, health.needs_rebuild) == (False, False)
    server.start()
    await index.apply([Document("policy_12", POLICY, "稍后再试")])
    assert await found(index, "稍后再试") == ["policy_12"]


async def test_a_wrong_key_is_refused_without_showing_it(server: Served) -> None:
    index = MeiliIndex(server.url, "wrong-key")
    with pytest.raises(SearchUnavailable, match="invalid_api_key") as refused:
        await index.search(Query("企业"))
    assert "wrong-key" not in str(refused.value)
    await index.close()


async def test_the_settings_choose_the_engine(server: Served) -> None:
    index = open_index(Settings(MEILI_URL=server.url, MEILI_KEY=SecretStr(KEY)), writer=True)  # type: ignore[call-arg]
    assert (await index.health()).engine == "meilisearch"
    await index.close()


def test_the_settings_that_we_send_fit_the_contract() -> None:
    contract = Contract()
    assert contract.request_errors("PATCH", "/indexes/{index_uid}/settings", meili.settings()) == []
    assert contract.request_errors("POST", "/indexes/{index_uid}/search", {"query": "企业"}) == [
        "Unknown field `query`"
    ]
    assert contract.request_errors("POST", "/indexes/{index_uid}/search", {"limit": "20"}) == [
        "'20' is not of type 'integer'"
    ]


def test_the_stand_in_refuses_a_filter_that_is_none() -> None:
    for wrong in ('level IN ["a" "b"]', 'level IN ["a"', "level", 'level IN ["a"] OR type IN ["b"]', "a >= x"):
        with pytest.raises(Refusal):
            parsed(wrong, "invalid_search_filter")
