"""Policies (政策): the library, today's declarations, how one is written (R-POL-01, R-BASE-03 to 05, R-BDC-15)."""

from datetime import date
from decimal import Decimal

import strawberry

import models
from models.policy import (
    ApplyMode,
    Comparison,
    Condition,
    ConditionSubject,
    DataType,
    EnterpriseSize,
    PolicyKind,
    PolicyLevel,
    PolicyValidity,
    SupportKind,
)
from models.publishing import PublicationState
from resolvers import policy as resolvers
from resolvers.loaders import Loaders
from resolvers.policy import ApplicationStatus, PolicyOrder
from schema.acts import mutation
from schema.area import Department, District, Industry
from schema.base import ID, Connection, connection, entity, field, lookup, related
from schema.enums import enums
from schema.job import Job
from schema.publishing import ManagedContent, Revision, SaveInput
from schema.values import part_type, values_input, values_type

enums(PolicyLevel, PolicyKind, PolicyValidity, EnterpriseSize, SupportKind, ApplyMode, ConditionSubject, Comparison)
enums(PolicyOrder, ApplicationStatus, DataType)


@entity(models.Policy, Loaders.policy)
class Policy(ManagedContent):
    """A policy (政策): a law, a normative document, a call for applications or its interpretation."""

    serial_no: int = field(partner=True)
    title: str = field(partner=True)
    summary: str = field(partner=True)
    issuer: str = field(partner=True)
    issuers: list[str] = field(partner=True)
    document_no: str | None = field(partner=True)
    level: PolicyLevel = field(partner=True)
    kind: PolicyKind = field(partner=True)
    topic: str
    region: str
    department: Department | None = related(
        Loaders.department, by="department_code", about="Issuing department (发布部门)"
    )
    districts: list[District] = related(Loaders.district, by="districts", about="Where it applies; empty: all (适用区)")
    industries: list[Industry] = related(Loaders.industry, by="industries", about="Industries; empty: all (适用行业)")
    enterprise_sizes: list[EnterpriseSize]
    enterprise_tags: list[str]
    conditions: list[part_type(Condition)]  # type: ignore[valid-type]
    exclusions: list[str]
    support_kinds: list[SupportKind]
    amount_min: Decimal | None
    amount_max: Decimal | None
    amount_ratio: float | None
    target: str
    requirements: str
    materials: list[str]
    procedure: str
    apply_start: date | None = field(partner=True)
    apply_end: date | None = field(partner=True)
    apply_mode: ApplyMode | None
    apply_url: str | None
    application_status: ApplicationStatus | None = field(
        resolvers.application_status, partner=True, needs=("apply_start", "apply_end")
    )
    days_left: int | None = field(resolvers.days_left, needs=("apply_end",))
    accepting_department: str
    phone: str
    basis: list[str]
    body: str = field(partner=True)
    attachments: list[part_type(models.Attachment)]  # type: ignore[valid-type]
    written_on: date | None
    issued_on: date | None = field(partner=True)
    effective_from: date | None
    effective_to: date | None
    validity: PolicyValidity = field(partner=True)
    interprets: "Policy | None" = related(
        Loaders.policy, by="interprets_id", about="The policy it explains (所解读的政策)"
    )
    interpretations: "Connection[Policy]" = connection(resolvers.interpretations, by="id")
    source: str
    source_id: str | None
    source_url: str | None


@values_type(models.PolicyValues)
class PolicyProposal:
    """What a policy is proposed to say (政策拟发布内容)."""


@values_input(models.PolicyValues)
class PolicyInput:
    """What a policy says, as its author enters it; what is left out takes its default (政策内容)."""


@strawberry.input
class PolicyFilter:
    """Which policies to keep (政策筛选). Several values of one filter widen it, several filters narrow it."""

    keyword: str | None = strawberry.field(default=None, description="Text in title, number or issuer (关键词)")
    levels: list[PolicyLevel] | None = strawberry.field(default=None, description="Levels of government (层级)")
    kinds: list[PolicyKind] | None = strawberry.field(default=None, description="Kinds of document (政策类型)")
    validities: list[PolicyValidity] | None = strawberry.field(default=None, description="Validity (时效性)")
    departments: list[str] | None = strawberry.field(
        default=None, description="Codes of issuing departments (发布部门)"
    )
    districts: list[str] | None = strawberry.field(
        default=None, description="Codes of districts it applies to (适用区)"
    )
    industries: list[str] | None = strawberry.field(default=None, description="Codes of industries (适用行业)")
    enterprise_sizes: list[EnterpriseSize] | None = strawberry.field(default=None, description="Sizes (适用规模)")
    enterprise_tags: list[str] | None = strawberry.field(default=None, description="Qualifications (适用标签)")
    support_kinds: list[SupportKind] | None = strawberry.field(default=None, description="How it helps (支持方式)")
    states: list[PublicationState] | None = strawberry.field(
        default=None, description="Whether the public sees them; the public has PUBLISHED only (状态)"
    )
    application_statuses: list[ApplicationStatus] | None = strawberry.field(
        default=None, description="Whether applications are taken today (申报状态)"
    )
    issued_year: int | None = strawberry.field(default=None, description="Year of issue (发文年份)")
    document_no: str | None = strawberry.field(default=None, description="Document number in any spelling (文号)")
    amount_at_least: Decimal | None = strawberry.field(
        default=None, description="Greatest amount at least, yuan (金额)"
    )


@strawberry.input
class PolicySaveInput(SaveInput):
    """Which policy to write, and what it is to say (政策存储)."""

    values: PolicyInput = strawberry.field(description="The whole content (内容)")


@strawberry.type
class DictionaryCode:
    """A code that a field may hold (代码)."""

    code: str = strawberry.field(description="The code, as the API reads and writes it (代码)")
    label: str = strawberry.field(description="What it is called in Chinese (名称)")
    meaning: str = strawberry.field(description="What it is called in English (英文名称)")


@strawberry.type
class DictionaryField:
    """A field of the policy data dictionary (数据字典项)."""

    name: str = strawberry.field(description="Its name in PolicyInput, by path inside a group (字段名)")
    label: str = strawberry.field(description="What it is called in Chinese (中文名称)")
    meaning: str = strawberry.field(description="What it says, in English (英文说明)")
    type: DataType = strawberry.field(description="What it holds (类型)")
    several: bool = strawberry.field(description="Whether it is a list (是否多值)")
    required: bool = strawberry.field(description="Whether a policy cannot do without it (是否必填)")
    max_length: int | None = strawberry.field(
        description="At most so many characters, or so many values of a list; null: no limit (最大长度)"
    )
    codes: list[DictionaryCode] = strawberry.field(
        description="What a code may be; empty where a query lists them (代码表)"
    )
    code_list: str | None = strawberry.field(
        description="The query that lists its codes, where they are reference data (代码来源)"
    )


@strawberry.type
class Query:
    policy: Policy | None = lookup(
        Loaders.policy,
        "policy",
        about="One policy (政策), null where there is none or it is not published.",
        label="政策标识",
        access="public",
        partner=True,
    )
    policies: Connection[Policy] = connection(
        resolvers.policies,
        filter=PolicyFilter,
        order_by=PolicyOrder,
        default=PolicyOrder.NEWEST,
        access="public",
        partner=True,
    )
    today_declarations: Connection[Policy] = connection(
        resolvers.today_declarations, filter=PolicyFilter, access="public", partner=True
    )
    policy_dictionary: list[DictionaryField] = field(
        resolvers.policy_dictionary, access="public", partner=True, shared=True
    )


@strawberry.input
class PolicyImportInput:
    """Which uploaded file to import as drafts (导入政策)."""

    file_id: ID = strawberry.field(description="The file, .xlsx by the template or .jsonl, from POST /files (文件)")


@strawberry.type
class Mutation:
    policy_import = mutation(resolvers.policy_import, PolicyImportInput, access="policy.import", job=Job)
    policy_save = mutation(resolvers.policy_save, PolicySaveInput, access="policy.write", revision=Revision)
