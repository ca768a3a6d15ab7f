"""How well and how fast the embedded index finds: `python -m bench.search [--data FOLDER] [--cuts N] [--seed N]`.

Prints what users judge by, on real texts: passages of 8 to 16 characters cut from titles and bodies of real
policies, and everyday names of government services. Needs the reference data folder, which is not part of the project.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from kit.settings import ROOT
from search import text
from search.base import Document, Query, SearchIndex, SearchType
from search.embedded import EmbeddedIndex

DATA = ROOT.parent / "shared" / "data"
SPACE = UUID("6f6f1a0e-2f4b-4d39-9b0a-6f1f6e0f1a11")
TOP = {"title": 1, "body": 5}
TOP_NAMES = 20

Row = dict[str, Any]
Cuts = list[tuple[str, str]]


@dataclass(frozen=True)
class Figures:
    """Shares are 0..1; `verbatim` also counts a hit whose own text holds the cut, since boilerplate belongs to many."""

    indexed_per_second: float
    p50_ms: float
    p95_ms: float
    title_top1: float
    title_top1_verbatim: float
    body_top5: float
    body_top5_verbatim: float
    names_top1: float
    names_mrr: float

    def lines(self) -> list[str]:
        return [
            f"indexing                       {self.indexed_per_second:8.0f} documents/s",
            f"query                          p50 {self.p50_ms:.2f} ms, p95 {self.p95_ms:.2f} ms",
            f"cut of a title, first hit      {self.title_top1:.4f} (any that holds it: {self.title_top1_verbatim:.4f})",
            f"cut of a body, first five      {self.body_top5:.4f} (any that holds it: {self.body_top5_verbatim:.4f})",
            f"everyday names of services     first hit {self.names_top1:.4f}, MRR {self.names_mrr:.4f}",
        ]


def rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def policy(row: Row) -> Document:
    keywords = " ".join(filter(None, (row["issuer"], row["doc_no"], row["topic"])))
    return Document(key("policy", row["id"]), SearchType.POLICY, row["title"], row["body"], keywords)


def article(place: int, row: Row) -> Document:
    """A service's name as an article, published in the order of the file."""
    return Document(key("article", row["id"]), SearchType.ARTICLE, row["name"], numbers={"published_at": place})


def key(kind: str, source_id: str) -> str:
    return f"{kind}_{uuid5(SPACE, source_id).hex}"


def cuts(policies: Sequence[Row], field: str, each: int, seed: int) -> Cuts:
    """(id, cut): `each` passages of 8 to 16 characters of every policy, or a shorter text as a whole."""
    choice = random.Random(f"{seed}{field}")  # noqa: S311 - the same cuts every time
    found: Cuts = []
    for row in policies:
        for _ in range(each):
            length = min(len(row[field]), choice.randint(8, 16))
            start = choice.randint(0, len(row[field]) - length)
            cut = row[field][start : start + length].strip()
            if len(text.units(cut)) >= min(5, len(text.units(row[field]))):
                found.append((row["id"], cut))
    return found


class Asked:
    """Asks an index and keeps how long each answer took, in milliseconds."""

    def __init__(self, index: SearchIndex, times: list[float]) -> None:
        self._index, self._times = index, times

    async def ids(self, wanted: str, limit: int) -> list[str]:
        started = time.perf_counter()
        results = await self._index.search(Query(wanted, limit=limit))
        self._times.append((time.perf_counter() - started) * 1000)
        return [hit.id for hit in results.hits]


async def measure_cuts(asked: Asked, policies: Sequence[Row], field: str, passages: Cuts) -> tuple[float, float]:
    """How often a cut's own policy is among the first, and how often one is that holds the cut."""
    plain = {key("policy", row["id"]): "".join(text.units(row[field])) for row in policies}
    strict = verbatim = 0
    for row_id, cut in passages:
        hits = await asked.ids(cut, TOP[field])
        own = key("policy", row_id) in hits
        strict += own
        verbatim += own or any("".join(text.units(cut)) in plain[hit] for hit in hits)
    return strict / len(passages), verbatim / len(passages)


async def measure_names(asked: Asked, queries: Sequence[Row]) -> tuple[float, float]:
    """Top 1 and mean reciprocal rank of the first of the right items."""
    first, reciprocal = 0, 0.0
    for row in queries:
        right = {key("article", one) for one in row["gold"]}
        hits = await asked.ids(row["query"], TOP_NAMES)
        rank = next((place for place, hit in enumerate(hits, 1) if hit in right), 0)
        first += rank == 1
        reciprocal += 1 / rank if rank else 0
    return first / len(queries), reciprocal / len(queries)


async def filled(home: Path, documents: Iterable[Document]) -> EmbeddedIndex:
    async def fed() -> AsyncIterator[Document]:
        for document in documents:
            yield document

    index = EmbeddedIndex(home, writer=True)
    await index.rebuild(fed())
    return index


async def measure(data: Path, each: int, seed: int) -> Figures:
    policies = rows(data / "policies" / "policies.jsonl")
    services = rows(data / "qa" / "gov_service_items.jsonl")
    names = rows(data / "qa" / "gov_service_queries.jsonl")
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        text.words("")
        started = time.perf_counter()
        library = await filled(Path(folder) / "policies", map(policy, policies))
        speed = len(policies) / (time.perf_counter() - started)
        guide = await filled(Path(folder) / "services", (article(i, row) for i, row in enumerate(services)))
        asked = Asked(library, times)
        title = await measure_cuts(asked, policies, "title", cuts(policies, "title", each, seed))
        body = await measure_cuts(asked, policies, "body", cuts(policies, "body", each, seed))
        first, reciprocal = await measure_names(Asked(guide, times), names)
        await library.close()
        await guide.close()
    times.sort()
    return Figures(speed, times[len(times) // 2], times[len(times) * 95 // 100], *title, *body, first, reciprocal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with policies/ and qa/")
    parser.add_argument("--cuts", type=int, default=3, help="cuts of each title and each body")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if not (asked.data / "policies").is_dir():
        raise SystemExit(f"no reference data in {asked.data}")
    print("\n".join(asyncio.run(measure(asked.data, asked.cuts, asked.seed)).lines()))


if __name__ == "__main__":
    main()
