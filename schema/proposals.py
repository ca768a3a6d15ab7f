"""What a revision proposes, typed by the kind of item. Each new kind of managed content adds its proposal here."""

from typing import Annotated

import strawberry

from schema.content import ArticleProposal
from schema.policy import PolicyProposal
from schema.product import ProductProposal
from schema.store import StoreProposal

Proposal = Annotated[
    PolicyProposal | StoreProposal | ProductProposal | ArticleProposal,
    strawberry.union(
        "Proposal", description="The proposed values of an item, as its author entered them (拟发布内容)."
    ),
]
