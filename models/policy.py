"""Policies (政策): what a government document says, as data (R-POL-01, R-BDC-15)."""

from datetime import date
from decimal import Decimal
from typing import Self
from uuid import UUID

from pydantic import field_validator, model_validator
from sqlalchemy import BigInteger, CheckConstraint, Computed, Identity, Index, Numeric, Text, text
from sqlmodel import Field

from kit.text import normalise_document_no, sanitise_html
from models.base import JSON, TEXTS, Labelled, Values, choice
from models.parts import WEB_ADDRESS, Attachment, Part
from models.publishing import Managed

FEN = Decimal("0.01")
MORE_THAN_ANY_AMOUNT = 10**14


class PolicyLevel(Labelled):
    """The level of government that issued it (政策层级)."""

    NATIONAL = "NATIONAL", "国家", "National"
    PROVINCIAL = "PROVINCIAL", "省", "Provincial"
    MUNICIPAL = "MUNICIPAL", "市", "Municipal"
    DISTRICT = "DISTRICT", "区", "District"
    PARK = "PARK", "园区", "Industrial park"


class PolicyKind(Labelled):
    """What sort of document it is (政策类型)."""

    LAW = "LAW", "法律法规", "Law or regulation"
    NORMATIVE = "NORMATIVE", "规范性文件", "Normative document"
    DECLARATION = "DECLARATION", "申报通知", "Call for applications"
    RULES = "RULES", "操作细则", "Implementation rules"
    MEASURE = "MEASURE", "政策条目", "Single measure of a policy"
    INTERPRETATION = "INTERPRETATION", "政策解读", "Interpretation"
    PUBLIC_NOTICE = "PUBLIC_NOTICE", "公示", "Public notice"


class PolicyValidity(Labelled):
    """Whether it is in force (时效性)."""

    VALID = "VALID", "有效", "In force"
    AMENDED = "AMENDED", "已修订", "Amended"
    EXPIRED = "EXPIRED", "失效", "No longer in force"


class EnterpriseSize(Labelled):
    """Size classes of enterprises (工信部联企业〔2011〕300号) and the two sorts of founders beside them."""

    MICRO = "MICRO", "微型企业", "Micro enterprise"
    SMALL = "SMALL", "小型企业", "Small enterprise"
    MEDIUM = "MEDIUM", "中型企业", "Medium enterprise"
    LARGE = "LARGE", "大型企业", "Large enterprise"
    FOUNDER = "FOUNDER", "创业个人或团队", "Founders"
    SOLE_TRADER = "SOLE_TRADER", "个体工商户", "Sole trader"


class SupportKind(Labelled):
    """How a policy helps (支持方式)."""

    GRANT = "GRANT", "资金补助", "Grant"
    INTEREST_SUBSIDY = "INTEREST_SUBSIDY", "贷款贴息", "Interest subsidy"
    VOUCHER = "VOUCHER", "服务券", "Voucher"
    RENT = "RENT", "房租减免", "Rent relief"
    TALENT = "TALENT", "人才支持", "Talent"
    QUALIFICATION = "QUALIFICATION", "资质认定", "Qualification"
    TAX = "TAX", "税费减免", "Tax relief"
    AWARD = "AWARD", "奖励", "Award"
    OTHER = "OTHER", "其他", "Other"


class ApplyMode(Labelled):
    """How one applies (申报方式)."""

    WITHOUT_APPLICATION = "WITHOUT_APPLICATION", "免申即享", "Granted without application"
    INSTANT = "INSTANT", "即申即享", "Granted on application"
    ONLINE = "ONLINE", "线上申报", "Online"
    OFFLINE = "OFFLINE", "线下申报", "On paper"


class ConditionSubject(Labelled):
    """What a machine-checkable condition looks at (条件指标)."""

    REVENUE = "REVENUE", "营业收入", "Revenue"
    RND = "RND", "研发投入", "R&D expenditure"
    RND_RATIO = "RND_RATIO", "研发投入占比", "R&D share of revenue"
    STAFF = "STAFF", "从业人员", "Staff"
    YEARS = "YEARS", "成立年限", "Years since founding"
    TAX_PAID = "TAX_PAID", "纳税额", "Tax paid"
    OTHER = "OTHER", "其他", "Other"


class Comparison(Labelled):
    """How the value is compared (比较方式)."""

    AT_LEAST = "AT_LEAST", "不低于", "At least"
    AT_MOST = "AT_MOST", "不高于", "At most"
    EQUALS = "EQUALS", "等于", "Equals"


class DataType(Labelled):
    """What a field of the dictionary holds (数据类型)."""

    TEXT = "TEXT", "文本", "Text"
    INTEGER = "INTEGER", "整数", "Whole number"
    NUMBER = "NUMBER", "数字", "Number"
    DECIMAL = "DECIMAL", "金额", "Decimal number, a string on the wire"
    DATE = "DATE", "日期", "Day, by ISO 8601"
    CODE = "CODE", "代码", "One of the codes listed with the field, or by the query that it names"
    ID = "ID", "标识", "Global id of something on the platform"
    GROUP = "GROUP", "组", "Several fields, which follow it with their paths"


class Condition(Part):
    """One condition of a policy, with the clause it stands in (申报条件)."""

    subject: ConditionSubject = Field(description="What is looked at (指标)")
    comparison: Comparison = Field(default=Comparison.AT_LEAST, description="How it is compared (比较方式)")
    value: float = Field(description="The threshold in the unit given (数值)")
    unit: str = Field(default="", max_length=20, description="Unit, such as 万元 or 人 (单位)")
    period: str = Field(default="", max_length=50, description="Period it is measured over, such as 上年度 (期间)")
    clause: str = Field(default="", max_length=500, description="The clause that says so (依据条款)")


class PolicyValues(Values):
    """What a policy says: the policy data dictionary (政策数据字典)."""

    title: str = Field(min_length=2, max_length=300, description="Title (标题)")
    summary: str = Field(default="", max_length=2000, description="Summary in plain words (摘要)")
    issuers: list[str] = Field(
        min_length=1, sa_type=TEXTS, description="Issuing bodies, the leading one first (发文机关)"
    )
    document_no: str | None = Field(default=None, max_length=100, description="Document number, normalised (文号)")
    level: PolicyLevel = Field(sa_type=choice(PolicyLevel, "level"), description="Level of government (层级)")
    kind: PolicyKind = Field(sa_type=choice(PolicyKind, "kind"), description="Kind of document (政策类型)")
    topic: str = Field(default="", max_length=200, description="Topic (主题)")
    region: str = Field(default="上海市", max_length=100, description="Where it applies, in words (适用区域)")
    department_code: str | None = Field(
        default=None,
        foreign_key="department.code",
        index=True,
        description="Issuing department of this city (发布部门)",
    )
    districts: list[str] = Field(
        default_factory=list, sa_type=TEXTS, description="Codes of the districts it applies to; empty: all (适用区)"
    )
    industries: list[str] = Field(
        default_factory=list, sa_type=TEXTS, description="Codes of GB/T 4754 it applies to; empty: all (适用行业)"
    )
    enterprise_sizes: list[EnterpriseSize] = Field(
        default_factory=list, sa_type=TEXTS, description="Sizes it applies to; empty: all (适用规模)"
    )
    enterprise_tags: list[str] = Field(
        default_factory=list, sa_type=TEXTS, description="Qualifications asked for, such as 专精特新 (适用标签)"
    )
    conditions: list[Condition] = Field(
        default_factory=list, sa_type=JSON, description="Machine-checkable conditions (条件)"
    )
    exclusions: list[str] = Field(
        default_factory=list, sa_type=TEXTS, description="What excludes an applicant (负面条件)"
    )
    support_kinds: list[SupportKind] = Field(default_factory=list, sa_type=TEXTS, description="How it helps (支持方式)")
    amount_min: Decimal | None = Field(
        default=None,
        ge=0,
        lt=MORE_THAN_ANY_AMOUNT,
        decimal_places=2,
        sa_type=Numeric(16, 2),
        description="Least amount in yuan (最低金额)",
    )
    amount_max: Decimal | None = Field(
        default=None,
        ge=0,
        lt=MORE_THAN_ANY_AMOUNT,
        decimal_places=2,
        sa_type=Numeric(16, 2),
        description="Greatest amount in yuan (最高金额)",
    )
    amount_ratio: float | None = Field(
        default=None, ge=0, le=1, description="Share of the cost that is paid, 0 to 1 (支持比例)"
    )
    target: str = Field(default="", sa_type=Text, description="Who may apply (申报对象)")
    requirements: str = Field(default="", sa_type=Text, description="Conditions in words (申报条件)")
    materials: list[str] = Field(default_factory=list, sa_type=TEXTS, description="Documents to hand in (申报材料)")
    procedure: str = Field(default="", sa_type=Text, description="How the application runs (办理流程)")
    apply_start: date | None = Field(default=None, description="First day of application in Shanghai (申报开始)")
    apply_end: date | None = Field(default=None, description="Last day of application in Shanghai, included (申报截止)")
    apply_mode: ApplyMode | None = Field(
        default=None, sa_type=choice(ApplyMode, "apply_mode"), description="How one applies (申报方式)"
    )
    apply_url: str | None = Field(
        default=None, schema_extra=WEB_ADDRESS, max_length=1000, description="Where one applies (申报链接)"
    )
    accepting_department: str = Field(default="", max_length=200, description="Who accepts applications (受理部门)")
    phone: str = Field(default="", max_length=100, description="Telephone for questions (咨询电话)")
    basis: list[str] = Field(default_factory=list, sa_type=TEXTS, description="Documents it rests on (依据文件)")
    body: str = Field(min_length=1, sa_type=Text, description="Full text (正文)")
    attachments: list[Attachment] = Field(default_factory=list, sa_type=JSON, description="Files (附件)")
    written_on: date | None = Field(default=None, description="Date of the document (成文日期)")
    issued_on: date | None = Field(default=None, description="Date of publication by the issuer (发布日期)")
    effective_from: date | None = Field(default=None, description="First day in force (生效日期)")
    effective_to: date | None = Field(default=None, description="Last day in force (失效日期)")
    validity: PolicyValidity = Field(
        default=PolicyValidity.VALID,
        sa_type=choice(PolicyValidity, "validity"),
        description="Whether it is in force (时效性)",
    )
    interprets_id: UUID | None = Field(
        default=None,
        foreign_key="policy.id",
        index=True,
        description="The policy that this interpretation explains (所解读的政策)",
    )
    source: str = Field(default="", max_length=200, description="Where it was taken from (来源)")
    source_id: str | None = Field(default=None, max_length=200, description="Its key at the source (来源编号)")
    source_url: str | None = Field(
        default=None, schema_extra=WEB_ADDRESS, max_length=1000, description="The original page (原文链接)"
    )

    @field_validator("document_no", mode="before")
    @classmethod
    def _normalise_document_no(cls, value: str | None) -> str | None:
        return normalise_document_no(value) or None if isinstance(value, str) else value

    @field_validator("amount_min", "amount_max")
    @classmethod
    def _to_the_fen(cls, value: Decimal | None) -> Decimal | None:
        return None if value is None else value.quantize(FEN)

    @field_validator("body")
    @classmethod
    def _sanitise(cls, value: str) -> str:
        return sanitise_html(value)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for low, high in (
            ("amount_min", "amount_max"),
            ("apply_start", "apply_end"),
            ("effective_from", "effective_to"),
        ):
            first, last = getattr(self, low), getattr(self, high)
            if first is not None and last is not None and first > last:
                raise ValueError(f"{low} 不能晚于或大于 {high} ({low} must not exceed {high})")
        if (self.interprets_id is not None) != (
            self.kind is PolicyKind.INTERPRETATION
        ) and self.interprets_id is not None:
            raise ValueError("只有政策解读可以指向所解读的政策 (only an interpretation explains a policy)")
        return self


class Policy(PolicyValues, Managed, table=True):
    """A published policy (政策): law, notice or call for applications that enterprises can find."""

    __table_args__ = (
        Index("uq_policy_source", "source", "source_id", unique=True, postgresql_where=text("source_id IS NOT NULL")),
        Index("ix_policy_same", "title", "document_no"),
        Index("ix_policy_document_no", "document_no"),
        Index("ix_policy_newest", "published_at", "id"),
        Index("ix_policy_issued", text("coalesce(issued_on, '-infinity'::date)"), "id"),
        Index("ix_policy_deadline", text("coalesce(apply_end, 'infinity'::date)"), "id"),
        Index("ix_policy_viewed", "view_count", "id"),
        Index("ix_policy_title_trgm", "title", postgresql_using="gin", postgresql_ops={"title": "gin_trgm_ops"}),
        CheckConstraint("apply_start IS NULL OR apply_end IS NULL OR apply_start <= apply_end", name="apply_window"),
        CheckConstraint("amount_min IS NULL OR amount_max IS NULL OR amount_min <= amount_max", name="amount_range"),
    )

    serial_no: int | None = Field(
        default=None,
        sa_type=BigInteger,
        sa_column_args=[Identity(start=100001)],
        nullable=False,
        unique=True,
        description="Running number (政策编号)",
    )
    issuer: str | None = Field(
        default=None,
        sa_type=Text,
        sa_column_args=[Computed("issuers[1]")],
        nullable=False,
        description="Leading issuer (发布部门)",
    )
