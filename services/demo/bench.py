"""The big city for measurements: the volumes that the real platform had, 500 stores, 5,100 products, 2,260 policies.

Everything is drawn from the small city's texts by a fixed seed, so that two machines measure on the same data.
Bodies of policies have about 2,000 Chinese characters, since search and transfer depend on it.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import accumulate
from random import Random
from uuid import UUID

from kit import clock
from kit.text import html_from_text, plain_text
from kit.writes import Transaction
from models.policy import PolicyValues
from models.product import ProductValues
from models.store import StoreKind, StoreValues
from services.demo.city import owner_of_policy
from services.demo.rows import Item, add_items, plausible_counts
from services.demo.texts import key, lines, parse

STORES, PRODUCTS, POLICIES = 500, 5_100, 2_260
BODY_LENGTH = 2_000
_SHORTEST_SENTENCE = 16
_MINUTES = 400 * 1440
_SEED = 20_190_101


async def load_bench(writing: Transaction) -> dict[str, int]:
    """Adds what is missing beside whatever city is loaded, and counts what was added, by kind. Idempotent."""
    chance = Random(_SEED)  # noqa: S311 - sample data
    stores = list(_stores(chance))
    return {
        "store": await add_items(writing, stores),
        "product": await add_items(writing, _products(chance, stores)),
        "policy": await add_items(writing, _policies(chance)),
    }


def _stores(chance: Random) -> Iterator[Item]:
    shops = [line for line in lines("store") if line["kind"] == StoreKind.INSTITUTION]
    samples: list[StoreValues] = [parse("store", line) for line in shops]
    districts = sorted({line["district_code"] for line in shops})
    for number in range(1, STORES + 1):
        sample = samples[number % len(samples)]
        name = f"{sample.name}第{number}分店"
        values = sample.model_copy(update={"name": name, "district_code": chance.choice(districts)})
        item_id = key("store", f"bench:{number}")
        yield _item("store", item_id, f"store:{item_id.hex}", values, chance.randrange(_MINUTES // 2, _MINUTES))


def _products(chance: Random, stores: Sequence[Item]) -> Iterator[Item]:
    samples: list[ProductValues] = [parse("product", line) for line in lines("product")]
    for number in range(1, PRODUCTS + 1):
        store, sample = stores[number % len(stores)], chance.choice(samples)
        update = {"name": f"{sample.name}（方案{number}）", "store_id": store.id, "provider": store.title}
        values = sample.model_copy(update=update)
        yield _item("product", key("product", f"bench:{number}"), store.owner, values, chance.randrange(_MINUTES // 2))


def _policies(chance: Random) -> Iterator[Item]:
    samples: list[PolicyValues] = [parse("policy", line) for line in lines("policy") if "interprets" not in line]
    sentences = [
        line for sample in samples for line in plain_text(sample.body).splitlines() if len(line) >= _SHORTEST_SENTENCE
    ]
    for number in range(1, POLICIES + 1):
        sample, other = chance.choice(samples), chance.choice(samples)
        update = {
            "title": f"{sample.title.removesuffix('（示例）')}（{other.topic}专项第{number}号）",
            "document_no": f"企测〔{clock.today().year}〕{number}号",
            "topic": other.topic,
            "body": html_from_text("\n".join(_body(chance, sentences))),
            "source": "企服云测量数据",
            "source_id": f"bench-{number:04d}",
        }
        minutes = chance.randrange(_MINUTES)
        values = sample.model_copy(update=update | _moved_to(sample, clock.today() - timedelta(minutes=minutes)))
        yield _item("policy", key("policy", f"bench:{number}"), owner_of_policy(values), values, minutes)


def _moved_to(sample: PolicyValues, issued_on: date) -> dict[str, date]:
    """The sample's days, as far from this day of issue as they are from its own."""
    days = ("written_on", "issued_on", "apply_start", "apply_end", "effective_from", "effective_to")
    known = {day: value for day in days if (value := getattr(sample, day)) is not None}
    return {day: value + (issued_on - known["issued_on"]) for day, value in known.items()}


def _body(chance: Random, sentences: Sequence[str]) -> list[str]:
    """Sentences in an order of their own, as many as come nearest to the length wanted."""
    drawn = chance.sample(sentences, k=BODY_LENGTH // _SHORTEST_SENTENCE)
    lengths = accumulate(len(sentence) for sentence in drawn)
    return [sentence for sentence, length in zip(drawn, lengths, strict=True) if length <= BODY_LENGTH + 20]


def _item(
    kind: str,
    item_id: UUID,
    owner: str,
    values: StoreValues | ProductValues | PolicyValues,
    minutes: int,
) -> Item:
    published_at = clock.now() - timedelta(minutes=minutes)
    return Item(kind, item_id, owner, values, published_at, plausible_counts(kind, item_id, minutes // 1440))
