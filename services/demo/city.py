"""The small city: 60 policies, 60 stores with what they offer and write, and work that waits for a reviewer."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from random import Random
from uuid import UUID

from kit import clock
from kit.writes import Transaction
from models.base import Values
from models.policy import PolicyLevel, PolicyValues
from models.store import StoreKind
from services.demo import proposals
from services.demo.rows import Item, add_items, plausible_counts
from services.demo.texts import Line, key, lines, name_of, parse

PLATFORM = "platform"
_DAYS_OPEN = {"store": (250, 400), "product": (2, 240), "article": (1, 240)}
_KINDS = ("policy", "store", "product", "article")


async def load_city(writing: Transaction, scale: int = 1) -> dict[str, int]:
    """Adds what is missing of the city and counts what was added, by kind. Idempotent.

    A scale of N has N branches of each institution with their products, and N issues of each article; policies and
    flagship stores are not repeated, since a city has one of each.
    """
    items = [*_policies(), *_stores(scale), *_products(scale), *_articles(scale)]
    added = Counter[str]()
    for kind in _KINDS:
        added[kind] = await add_items(writing, _interpretations_last(item for item in items if item.kind == kind))
    added["revision"] = await proposals.add(writing, items)
    return dict(added)


def _interpretations_last(items: Iterator[Item]) -> list[Item]:
    return sorted(
        items,
        key=lambda item: isinstance(item.values, PolicyValues) and item.values.interprets_id is not None,
    )


def _policies() -> Iterator[Item]:
    for line in lines("policy"):
        values: PolicyValues = parse("policy", line)
        item_id = key("policy", name_of("policy", line))
        yield _item("policy", item_id, owner_of_policy(values), values, _issued(values, item_id))


def owner_of_policy(values: PolicyValues) -> str:
    """The department or district that issued it; what neither did is the platform's to keep."""
    if values.level is PolicyLevel.DISTRICT:
        return f"district:{values.districts[0]}"
    return f"department:{values.department_code}" if values.department_code else PLATFORM


def _issued(values: PolicyValues, item_id: UUID) -> datetime:
    """In office hours of the day of issue, never in the future."""
    day = values.issued_on or clock.today()
    opening = datetime.combine(day, time(9), clock.SHANGHAI)
    return min(opening + timedelta(minutes=Random(item_id.int).randrange(480)), clock.now())  # noqa: S311 - sample data


def _stores(scale: int) -> Iterator[Item]:
    for line in lines("store"):
        for number in range(1, (scale if line["kind"] == StoreKind.INSTITUTION else 1) + 1):
            numbered = {**line, "name": _branch(line["name"], number)}
            store_id = key("store", numbered["name"])
            yield _item(
                "store",
                store_id,
                _owner_of_store(numbered),
                parse("store", numbered),
                _within("store", store_id),
            )


def _branch(store: str, number: int) -> str:
    return store if number == 1 else f"{store}{number}号店"


def _owner_of_store(line: Line) -> str:
    if line["kind"] == StoreKind.DEPARTMENT:
        return f"department:{line['department_code']}"
    return f"district:{line['district_code']}" if line["kind"] == StoreKind.DISTRICT else _shop(line["name"])


def _shop(store: str) -> str:
    return f"store:{key('store', store).hex}"


def _products(scale: int) -> Iterator[Item]:
    """What institutions offer; each branch offers it too."""
    for line in lines("product"):
        for number in range(1, scale + 1):
            store = _branch(line["store"], number)
            suffix = "" if number == 1 else f"（{number}号店）"
            numbered = {**line, "store": store, "name": f"{line['name']}{suffix}"}
            item_id = key("product", numbered["name"])
            yield _item("product", item_id, _shop(store), parse("product", numbered), _within("product", item_id))


def _articles(scale: int) -> Iterator[Item]:
    """What flagship stores and the platform write. Entrances to services lead somewhere and are not repeated."""
    owners = {line["name"]: _owner_of_store(line) for line in lines("store")}
    for line in lines("article"):
        owner = owners[line["store"]] if "store" in line else PLATFORM
        for number in range(1, (1 if "url" in line else scale) + 1):
            suffix = "" if number == 1 else f"（第{number}期）"
            numbered = {**line, "title": f"{line['title']}{suffix}"}
            item_id = key("article", numbered["title"])
            yield _item("article", item_id, owner, parse("article", numbered), _within("article", item_id))


def _within(kind: str, item_id: UUID) -> datetime:
    """Some minute of the days in which things of this kind appeared: stores first, then what they offer."""
    least, most = _DAYS_OPEN[kind]
    return clock.now() - timedelta(minutes=Random(item_id.int).randrange(least * 1440, most * 1440))  # noqa: S311 - sample data


def _item(kind: str, item_id: UUID, owner: str, values: Values, published_at: datetime) -> Item:
    age = (clock.now() - published_at).days
    return Item(kind, item_id, owner, values, published_at, plausible_counts(kind, item_id, age))
