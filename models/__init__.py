"""Tables and their invariants. Importing this package makes all of them known to `SQLModel.metadata`."""

from models.account import Account, AuditEntry, PlatformClock, Session, StoreMember
from models.area import Department, District, Industry, ServiceCategory, Street
from models.content import Article, ArticleTopic, ArticleValues
from models.job import Job, JobState, StoredFile
from models.parts import Attachment
from models.policy import Policy, PolicyValues
from models.product import Product, ProductValues
from models.publishing import Managed, PublicationState, Revision, RevisionState, Visit
from models.store import Store, StoreColumn, StoreKind, StoreValues
from models.words import SensitiveException, SensitiveExceptionValues, SensitiveWord, SensitiveWordValues

__all__ = [
    "Account",
    "Article",
    "ArticleTopic",
    "ArticleValues",
    "Attachment",
    "AuditEntry",
    "Department",
    "District",
    "Industry",
    "Job",
    "JobState",
    "Managed",
    "PlatformClock",
    "Policy",
    "PolicyValues",
    "Product",
    "ProductValues",
    "PublicationState",
    "Revision",
    "RevisionState",
    "SensitiveException",
    "SensitiveExceptionValues",
    "SensitiveWord",
    "SensitiveWordValues",
    "ServiceCategory",
    "Session",
    "Store",
    "StoreColumn",
    "StoreKind",
    "StoreMember",
    "StoreValues",
    "StoredFile",
    "Street",
    "Visit",
]
