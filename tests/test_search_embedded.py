"""The embedded index on real files: what is found, in which order, by whom, and that nothing is lost."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from kit.settings import Settings
from search import open_index
from search.base import FOREVER, Document, NeedsRebuild, Query, Removal, Results, SearchType, SearchUnavailable
from search.embedded import EmbeddedIndex

POLICY, STORE, PRODUCT, ARTICLE = SearchType


def key(kind: str, number: int) -> str:
    return f"{kind}_0192{number:011x}7000800000000000{number:01x}"[: len(kind) + 33]


def policy(number: int, title: str, body: str = "", keywords: str = "", **rest: object) -> Document:
    return Document(key("policy", number), POLICY, title, body, keywords, **rest)  # type: ignore[arg-type]


LIBRARY = [
    policy(
        1,
        "上海市促进中小企业发展条例",
        "市、区人民政府应当将中小企业发展纳入规划。\n鼓励专精特新中小企业做优做强。",
        "上海市人民代表大会常务委员会",
        facets={"level": ("市",), "industry": ("C", "I")},
        numbers={"published_at": 300},
    ),
    policy(
        2,
        "关于支持小巨人企业的若干措施",
        "对专精特新“小巨人”企业给予贷款贴息，最高100万元。",
        "上海市经济和信息化委员会 沪府规〔2024〕5号",
        facets={"level": ("市",)},
        numbers={"published_at": 200, "apply_end": 900},
    ),
    policy(
        3,
        "浦东新区高新技术企业认定补贴办法",
        "首次认定的高新技术企业，给予一次性补贴。",
        "浦东新区科技和经济委员会 浦府规〔2024〕15号",
        facets={"level": ("区",), "district": ("310115",)},
        numbers={"published_at": 100},
    ),
    Document(key("store", 4), STORE, "黄浦区旗舰店", "企业服务与政策咨询", facets={"district": ("310101",)}),
    Document(key("product", 5), PRODUCT, "AI 营销培训", "Train your team", numbers={"price": 9900, "published_at": 50}),
    Document(key("article", 6), ARTICLE, "内部通报", "仅限黄浦区工作人员查看", scopes=("district:310101",)),
]


async def stream(documents: Iterable[Document]) -> AsyncIterator[Document]:
    for document in documents:
        yield document


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[EmbeddedIndex]:
    made = EmbeddedIndex(tmp_path / "search", writer=True)
    assert await made.rebuild(stream(LIBRARY)) == len(LIBRARY)
    yield made
    await made.close()


def numbers(results: Results) -> list[int]:
    """Which of the library was found, by the number in its id."""
    return [int(hit.id.split("_")[1][4:15], 16) for hit in results.hits]


async def found(index: EmbeddedIndex, text: str, **rest: object) -> list[int]:
    return numbers(await index.search(Query(text, **rest)))  # type: ignore[arg-type]


async def test_a_passage_of_a_title_or_body_finds_its_document_first(index: EmbeddedIndex) -> None:
    assert (await found(index, "促进中小企业发展"))[0] == 1
    assert (await found(index, "企业给予贷款贴息，最高"))[0] == 2
    assert (await found(index, "入规划。\n鼓励专精特新中小"))[0] == 1
    assert (await found(index, "浦东新区高新技术企业认定补贴办法"))[0] == 3


@pytest.mark.parametrize(
    "spelt", ["沪府规〔2024〕5号", "沪府规[2024]5号", "沪府规（2024）5号", "沪府规2024 5号", "沪府規【２０２４】5號"]
)
async def test_a_document_number_is_found_in_every_form_and_not_mistaken_for_another(
    index: EmbeddedIndex, spelt: str
) -> None:
    assert (await found(index, spelt))[0] == 2


async def test_everyday_words_find_the_official_ones(index: EmbeddedIndex) -> None:
    assert (await found(index, "高企补助"))[0] == 3
    assert (await found(index, "经信委"))[0] == 2


async def test_a_wrong_character_is_forgiven(index: EmbeddedIndex) -> None:
    assert (await found(index, "专精特薪"))[0] in {1, 2}
    assert (await found(index, "高薪技术企业认定"))[0] == 3


async def test_a_single_character_searches_bodies_too(index: EmbeddedIndex) -> None:
    assert sorted(await found(index, "贴")) == [2, 3]
    assert await found(index, "鑫") == []


async def test_a_latin_word_matches_whole_words_only(index: EmbeddedIndex) -> None:
    assert await found(index, "ai") == [5]
    assert await found(index, "ＴＲＡＩＮ") == [5]


async def test_what_matched_is_marked_and_everything_else_is_escaped(index: EmbeddedIndex) -> None:
    await index.apply([policy(7, "<b>贴息</b>办法", "甲" * 300 + "贷款贴息<script>" + "乙" * 300)])
    hit = (await index.search(Query("贷款贴息办法"))).hits[0]
    marks = {mark.field: mark.text for mark in hit.highlights}
    assert (hit.id, hit.type) == (key("policy", 7), POLICY)
    assert marks["title"] == "&lt;b&gt;<mark>贴息</mark>&lt;/b&gt;<mark>办法</mark>"
    assert "甲<mark>贷款贴息</mark>&lt;script&gt;乙" in marks["body"]


async def test_an_empty_text_lists_everything_the_newest_first(index: EmbeddedIndex) -> None:
    results = await index.search(Query("", facets=("type",)))
    assert numbers(results)[:4] == [1, 2, 3, 5]
    assert results.total == 5
    assert results.facets["type"] == (("POLICY", 3), ("PRODUCT", 1), ("STORE", 1))
    assert all(hit.highlights == () for hit in results.hits)


async def test_results_are_filtered_bounded_sorted_and_counted(index: EmbeddedIndex) -> None:
    assert await found(index, "", types=(POLICY,), sort="published_at") == [3, 2, 1]
    assert await found(index, "", filters={"level": ("市",)}, sort="-published_at") == [1, 2]
    assert await found(index, "", filters={"level": ("市", "区"), "district": ("310115",)}) == [3]
    assert await found(index, "", ranges={"published_at": (100, 200)}) == [2, 3]
    assert await found(index, "", ranges={"apply_end": (900, None)}) == [2]
    assert await found(index, "企业", types=(POLICY,), sort="-published_at") == [1, 2, 3]
    results = await index.search(Query("", types=(POLICY,), facets=("level", "industry", "district"), limit=0))
    assert results.hits == ()
    assert results.facets == {
        "level": (("市", 2), ("区", 1)),
        "industry": (("C", 1), ("I", 1)),
        "district": (("310115", 1),),
    }


async def test_pages_join_without_gap_or_repetition(index: EmbeddedIndex) -> None:
    await index.apply([policy(100 + n, "同名政策", numbers={"published_at": 1000 + n}) for n in range(45)])
    pages = [await found(index, "同名政策", limit=20, offset=offset) for offset in (0, 20, 40)]
    assert [n for page in pages for n in page] == [100 + n for n in reversed(range(45))]


async def test_a_viewer_finds_only_what_his_scopes_show_and_counts_no_more(index: EmbeddedIndex) -> None:
    asked = Query("内部通报", facets=("type",))
    assert (await index.search(asked)).total == 0
    assert (await index.search(asked)).facets == {"type": ()}
    assert await found(index, "内部通报", scopes=("PUBLIC", "district:310101")) == [6]
    assert await found(index, "", scopes=()) == []


@pytest.mark.parametrize(
    "hostile", ['" OR "1"="1', "*:*", "a" * 5000, "企" * 5000, "\x00\x01", "title:企业", "😀", "()[]{}^~\\"]
)
async def test_no_text_breaks_a_search(index: EmbeddedIndex, hostile: str) -> None:
    assert (await index.search(Query(hostile, filters={"level": (hostile,)}))).total == 0
    await index.search(Query(hostile))


def test_what_no_client_may_ask_is_refused_at_once() -> None:
    for wrong in (
        {"offset": 1001},
        {"limit": 101},
        {"sort": "body"},
        {"ranges": {"body": (1, 2)}},
        {"filters": {"level = 1 OR level": ("x",)}},
        {"facets": ("a b",)},
    ):
        with pytest.raises(ValueError, match=r"must be in|not a"):
            Query("x", **wrong)
    with pytest.raises(ValueError, match="surrogates"):
        Query("\ud800")


async def test_an_older_version_never_replaces_a_newer_one(index: EmbeddedIndex) -> None:
    await index.apply([policy(8, "新版本政策", version=2)])
    await index.apply([policy(8, "旧版本政策", version=1)])
    assert await found(index, "新版本政策", limit=1) == [8]
    assert [hit.highlights[0].text for hit in (await index.search(Query("新版本"))).hits] == ["<mark>新版本</mark>政策"]
    await index.apply([policy(8, "同版本政策", version=2)])
    assert (await index.search(Query("同版本政策"))).hits[0].highlights[0].text == "<mark>同版本政策</mark>"


async def test_what_was_removed_stays_away_until_it_is_newer(index: EmbeddedIndex) -> None:
    await index.apply([], [Removal(key("policy", 3), 5)])
    assert await found(index, "高新技术企业认定补贴") == []
    await index.apply([policy(3, "高新技术企业认定补贴", version=4)])
    assert await found(index, "高新技术企业认定补贴") == []
    await index.apply([policy(3, "高新技术企业认定补贴", version=6)])
    assert await found(index, "高新技术企业认定补贴") == [3]
    await index.apply([], [Removal(key("policy", 3), FOREVER)])
    await index.apply([policy(3, "高新技术企业认定补贴", version=10**12)])
    assert await found(index, "高新技术企业认定补贴") == []
    assert (await index.health()).documents == len(LIBRARY) - 1


async def test_many_changes_at_once_are_all_there(index: EmbeddedIndex) -> None:
    await asyncio.gather(*(index.apply([policy(200 + n, f"第{n}号并发政策")]) for n in range(40)))
    assert (await index.search(Query("并发政策"))).total == 40


async def test_another_reader_sees_a_change_as_soon_as_it_is_reported_done(
    index: EmbeddedIndex, tmp_path: Path
) -> None:
    reader = EmbeddedIndex(tmp_path / "search", writer=False)
    for n in range(5):
        await index.apply([policy(300 + n, f"即时可见{n}")])
        assert (await reader.search(Query("即时可见"))).total == n + 1
    await index.rebuild(stream(LIBRARY))
    assert (await reader.search(Query("即时可见", types=(POLICY,)))).total == 0
    assert (await reader.search(Query(""))).total == 5


async def test_what_comes_during_a_rebuild_is_kept_and_searches_never_fail(index: EmbeddedIndex) -> None:
    async def slow() -> AsyncIterator[Document]:
        yield policy(1, "重建政策甲", version=1)
        await index.apply(
            [policy(2, "重建期间更新", version=9), policy(9, "重建期间新增")], [Removal(key("policy", 3), 9)]
        )
        assert (await found(index, "重建期间新增"))[0] == 9
        assert (await index.search(Query("促进中小企业发展"))).total > 0
        yield policy(2, "重建前的旧文", version=1)
        yield policy(3, "已删除的政策", version=1)

    assert await index.rebuild(slow()) == 3
    results = await index.search(Query("", sort="published_at"))
    assert sorted(numbers(results)) == [1, 2, 9]
    assert await found(index, "重建期间更新", limit=1) == [2]


async def test_a_failed_rebuild_leaves_the_index_as_it_was(index: EmbeddedIndex, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[Document]:
        yield policy(50, "半途")
        raise RuntimeError("database gone")

    with pytest.raises(RuntimeError, match="database gone"):
        await index.rebuild(broken())
    assert len([path for path in (tmp_path / "search").iterdir() if path.is_dir()]) == 1
    assert (await index.health()).documents == len(LIBRARY)
    await index.apply([policy(51, "照常写入")])
    assert await found(index, "照常写入") == [51]


async def test_an_index_that_is_closed_while_it_is_rebuilt_says_so(index: EmbeddedIndex) -> None:
    async def closing() -> AsyncIterator[Document]:
        yield policy(1, "关闭")
        await index.close()

    with pytest.raises(SearchUnavailable, match="closed while"):
        await index.rebuild(closing())
    assert (await index.health()).documents == len(LIBRARY)


async def test_broken_files_are_rebuilt(index: EmbeddedIndex, tmp_path: Path) -> None:
    folder = tmp_path / "search" / (tmp_path / "search" / "current").read_text()
    (folder / "meta.json").write_text("{")
    with pytest.raises(NeedsRebuild):
        await index.search(Query("企业"))
    assert (await index.health()).needs_rebuild
    await index.rebuild(stream(LIBRARY))
    assert (await index.health()).documents == len(LIBRARY)


async def test_after_a_rebuild_only_one_index_is_on_disk(index: EmbeddedIndex, tmp_path: Path) -> None:
    await index.rebuild(stream(LIBRARY))
    folders = [path for path in (tmp_path / "search").iterdir() if path.is_dir()]
    assert [path.name for path in folders] == [(tmp_path / "search" / "current").read_text()]


async def test_without_an_index_or_with_one_of_another_form_a_rebuild_is_asked_for(tmp_path: Path) -> None:
    index = EmbeddedIndex(tmp_path / "search", writer=True)
    assert (await index.health()).needs_rebuild
    for wrong in ("", "0000-old"):
        with pytest.raises(NeedsRebuild):
            await index.search(Query("企业"))
        with pytest.raises(NeedsRebuild):
            await index.apply(LIBRARY)
        (tmp_path / "search" / "current").write_text(wrong)
    await index.rebuild(stream(LIBRARY))
    assert not (await index.health()).needs_rebuild
    await index.close()


async def test_a_second_writer_is_turned_away_until_the_first_closes(index: EmbeddedIndex, tmp_path: Path) -> None:
    second = EmbeddedIndex(tmp_path / "search", writer=True)
    with pytest.raises(SearchUnavailable, match="another process"):
        await second.apply([policy(60, "第二写者")])
    with pytest.raises(SearchUnavailable, match="another process"):
        await second.rebuild(stream(LIBRARY))
    await index.close()
    await second.apply([policy(60, "第二写者")])
    assert await found(second, "第二写者") == [60]
    await second.close()


@pytest.mark.usefixtures("index")
async def test_a_reader_does_not_write(tmp_path: Path) -> None:
    reader = EmbeddedIndex(tmp_path / "search", writer=False)
    with pytest.raises(SearchUnavailable, match="only reads"):
        await reader.apply(LIBRARY)


def _write_until_killed(home: Path, pipe: "multiprocessing.connection.Connection") -> None:
    async def write() -> None:
        index = EmbeddedIndex(home, writer=True)
        for n in range(10_000):
            await index.apply([policy(1000 + n, "被杀写者")])
            pipe.send(n)

    asyncio.run(write())


async def test_a_killed_writer_loses_nothing_that_it_reported_as_done(index: EmbeddedIndex, tmp_path: Path) -> None:
    await index.close()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_write_until_killed, args=(tmp_path / "search", theirs)
    )
    process.start()
    theirs.close()
    reported = [await asyncio.to_thread(ours.recv) for _ in range(8)]
    os.kill(process.pid or 0, signal.SIGKILL)
    await asyncio.to_thread(process.join)
    try:
        while True:
            reported.append(ours.recv())
    except EOFError:
        pass
    assert (await index.search(Query("被杀写者"))).total in {len(reported), len(reported) + 1}
    await index.apply([policy(70, "接手写者")])
    assert await found(index, "接手写者", limit=1) == [70]


async def test_the_settings_choose_the_engine(tmp_path: Path) -> None:
    index = open_index(Settings(ESC_HOME=tmp_path), writer=False)  # type: ignore[call-arg]
    health = await index.health()
    assert (health.engine, health.ok, health.needs_rebuild) == ("embedded", False, True)
    assert health.version.startswith("tantivy ")
