"""What documents and their plans weigh: it is bounded, and what is forgotten is freed at once."""

import gc
from collections import Counter
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from engine import documents
from engine.variants import FIELD_BYTES, VARIANT_BYTES
from tests.plan_pair import Pair, fill

OF_ALL_KINDS = """query All($id: Int = 1, $deep: Boolean = true) {
  %s: thing(id: $id) { ...About next { name } pages(first: 1) { nodes { id } edges { at node { label } } }
    parts { id } named { __typename name ... on Thing { label } } inner { must } secret slow(turns: 2) }
  things { id } hidden { name } echo(number: 3, xs: [1, $id], given: { text: "a", inner: { number: 2 } })
}
fragment About on Thing { id label others @include(if: $deep) { name } }"""


@pytest.fixture
def pair() -> Iterator[Pair]:
    fill()
    with capture_logs():
        yield Pair()


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def census() -> Counter[str]:
    """The objects of the engine and of graphql-core that there are, and generated functions."""
    kinds = Counter[str]()
    for each in gc.get_objects():
        kind = type(each)
        generated = kind.__name__ == "function" and each.__code__.co_filename == "<plan>"
        name = f"{kind.__module__}.{kind.__name__}"
        if generated or name.startswith(("engine.", "graphql.", "strawberry.")):
            kinds[name] += 1
    return kinds


@pytest.mark.usefixtures("no_collector")
async def test_a_document_that_is_forgotten_is_freed_without_the_garbage_collector(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "ENTRIES", 1)
    pair = Pair()
    for name in ("warm", "first"):
        await pair.same(OF_ALL_KINDS % name)
    gc.collect()
    before = census()
    for name in ("second", "third"):
        await pair.same(OF_ALL_KINDS % name)
        gc.collect(1)  # what reading them left, but nothing that was there before
    assert census() - before == Counter()
    del pair
    gc.collect()
    kept = before - census()
    assert kept["engine.compile.Plan"] == 1
    assert kept["builtins.function"] > 10


async def test_a_plan_weighs_as_much_as_it_selects_for_all_types(pair: Pair) -> None:
    kept = pair.plans._documents._documents
    for text, size in (
        ("{ thing { id } }", 2),
        ("{ thing { id name label } }", 4),
        ("{ thing { next { id } pages { nodes { id } } } }", 9),
        ("{ thing { named { name } } }", 6),
    ):
        before = kept.weight
        await pair.same(text)
        document = documents.DOCUMENT_BYTES + len(text) * documents.CHARACTER_BYTES
        assert kept.weight - before == document + VARIANT_BYTES + size * FIELD_BYTES, text


async def test_documents_are_kept_until_they_weigh_too_much(monkeypatch: pytest.MonkeyPatch, pair: Pair) -> None:
    monkeypatch.setattr(documents, "CAPACITY_BYTES", 100_000)
    pair = Pair()
    kept = pair.plans._documents._documents
    for number in range(30):
        await pair.same(f"{{ thing {{ id{number}: id next {{ next {{ next {{ id }} }} }} }} }}")
        assert kept.weight <= 100_000
    assert 3 <= len(kept) <= 8


async def test_each_variant_weighs(pair: Pair) -> None:
    text = "query ($no: Boolean!) { thing { id name @skip(if: $no) } }"
    kept = pair.plans._documents._documents
    await pair.same(text, {"no": True})
    one = kept.weight
    await pair.same(text, {"no": True})
    assert kept.weight == one
    await pair.same(text, {"no": False})
    assert kept.weight == one + VARIANT_BYTES + 3 * FIELD_BYTES
