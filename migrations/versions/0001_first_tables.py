"""The first tables, the trigram index and the job queue (pgqueuer 1.6.0)."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JOB_QUEUE = Path(__file__).with_name("0001_job_queue.sql")


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    queue = JOB_QUEUE.read_text(encoding="utf-8")
    op.get_bind().connection.run_async(lambda connection: connection.execute(queue))
    op.create_table(
        "department",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("short_name", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_department")),
        sa.UniqueConstraint("name", name=op.f("uq_department_name")),
    )
    op.create_table(
        "district",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_district")),
    )
    op.create_table(
        "industry",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("parent_code", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_industry")),
    )
    op.create_index(op.f("ix_industry_parent_code"), "industry", ["parent_code"], unique=False)
    op.create_table(
        "platform_clock",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("offset_seconds", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_platform_clock_single_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_platform_clock")),
    )
    op.create_table(
        "sensitive_exception",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("phrase", sa.String(length=50), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sensitive_exception")),
        sa.UniqueConstraint("phrase", name=op.f("uq_sensitive_exception_phrase")),
    )
    op.create_table(
        "sensitive_word",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("word", sa.String(length=50), nullable=False),
        sa.Column("category", sa.String(length=50), nullable=False),
        sa.Column(
            "severity",
            sa.Enum("WARN", "BLOCK", name="severity", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("suggestion", sa.String(length=100), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sensitive_word")),
        sa.UniqueConstraint("word", name=op.f("uq_sensitive_word_word")),
    )
    op.create_table(
        "service_category",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("parent_code", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_service_category")),
    )
    op.create_index(op.f("ix_service_category_parent_code"), "service_category", ["parent_code"], unique=False)
    op.create_table(
        "visit",
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("folded", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("item_id", "visit_id", name=op.f("pk_visit")),
    )
    op.create_index(
        "ix_visit_unfolded", "visit", ["kind", "item_id"], unique=False, postgresql_where=sa.text("NOT folded")
    )
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("roles", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("district_code", sa.String(), nullable=True),
        sa.Column("department_code", sa.String(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.CheckConstraint("level BETWEEN 0 AND 6", name=op.f("ck_account_level_in_range")),
        sa.ForeignKeyConstraint(["department_code"], ["department.code"], name=op.f("fk_account_department_code")),
        sa.ForeignKeyConstraint(["district_code"], ["district.code"], name=op.f("fk_account_district_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("username", name=op.f("uq_account_username")),
    )
    op.create_table(
        "policy",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("PUBLISHED", "OFFLINE", name="state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision_no", sa.Integer(), nullable=False),
        sa.Column("view_count", sa.Integer(), nullable=False),
        sa.Column("offline_by", sa.Uuid(), nullable=True),
        sa.Column("offline_reason", sa.String(), nullable=True),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("summary", sa.String(length=2000), nullable=False),
        sa.Column("issuers", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("document_no", sa.String(length=100), nullable=True),
        sa.Column(
            "level",
            sa.Enum(
                "NATIONAL",
                "PROVINCIAL",
                "MUNICIPAL",
                "DISTRICT",
                "PARK",
                name="level",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "kind",
            sa.Enum(
                "LAW",
                "NORMATIVE",
                "DECLARATION",
                "RULES",
                "MEASURE",
                "INTERPRETATION",
                "PUBLIC_NOTICE",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("topic", sa.String(length=200), nullable=False),
        sa.Column("region", sa.String(length=100), nullable=False),
        sa.Column("department_code", sa.String(), nullable=True),
        sa.Column("districts", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("industries", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("enterprise_sizes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("enterprise_tags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("conditions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("exclusions", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("support_kinds", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("amount_min", sa.Numeric(precision=16, scale=2), nullable=True),
        sa.Column("amount_max", sa.Numeric(precision=16, scale=2), nullable=True),
        sa.Column("amount_ratio", sa.Float(), nullable=True),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("requirements", sa.Text(), nullable=False),
        sa.Column("materials", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("procedure", sa.Text(), nullable=False),
        sa.Column("apply_start", sa.Date(), nullable=True),
        sa.Column("apply_end", sa.Date(), nullable=True),
        sa.Column(
            "apply_mode",
            sa.Enum(
                "WITHOUT_APPLICATION",
                "INSTANT",
                "ONLINE",
                "OFFLINE",
                name="apply_mode",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("apply_url", sa.String(length=1000), nullable=True),
        sa.Column("accepting_department", sa.String(length=200), nullable=False),
        sa.Column("phone", sa.String(length=100), nullable=False),
        sa.Column("basis", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("attachments", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("written_on", sa.Date(), nullable=True),
        sa.Column("issued_on", sa.Date(), nullable=True),
        sa.Column("effective_from", sa.Date(), nullable=True),
        sa.Column("effective_to", sa.Date(), nullable=True),
        sa.Column(
            "validity",
            sa.Enum(
                "VALID", "AMENDED", "EXPIRED", name="validity", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("interprets_id", sa.Uuid(), nullable=True),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("source_id", sa.String(length=200), nullable=True),
        sa.Column("source_url", sa.String(length=1000), nullable=True),
        sa.Column("serial_no", sa.BigInteger(), sa.Identity(always=False, start=100001), nullable=False),
        sa.Column(
            "issuer",
            sa.Text(),
            sa.Computed(
                "issuers[1]",
            ),
            nullable=False,
        ),
        sa.CheckConstraint(
            "amount_min IS NULL OR amount_max IS NULL OR amount_min <= amount_max", name=op.f("ck_policy_amount_range")
        ),
        sa.CheckConstraint(
            "apply_start IS NULL OR apply_end IS NULL OR apply_start <= apply_end", name=op.f("ck_policy_apply_window")
        ),
        sa.ForeignKeyConstraint(["department_code"], ["department.code"], name=op.f("fk_policy_department_code")),
        sa.ForeignKeyConstraint(["interprets_id"], ["policy.id"], name=op.f("fk_policy_interprets_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy")),
        sa.UniqueConstraint("serial_no", name=op.f("uq_policy_serial_no")),
    )
    op.create_index(
        "ix_policy_deadline",
        "policy",
        [sa.literal_column("coalesce(apply_end, 'infinity'::date)"), "id"],
        unique=False,
    )
    op.create_index(op.f("ix_policy_department_code"), "policy", ["department_code"], unique=False)
    op.create_index("ix_policy_document_no", "policy", ["document_no"], unique=False)
    op.create_index(op.f("ix_policy_interprets_id"), "policy", ["interprets_id"], unique=False)
    op.create_index(
        "ix_policy_issued", "policy", [sa.literal_column("coalesce(issued_on, '-infinity'::date)"), "id"], unique=False
    )
    op.create_index("ix_policy_newest", "policy", ["published_at", "id"], unique=False)
    op.create_index(op.f("ix_policy_owner"), "policy", ["owner"], unique=False)
    op.create_index("ix_policy_same", "policy", ["title", "document_no"], unique=False)
    op.create_index(
        "ix_policy_title_trgm",
        "policy",
        ["title"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"title": "gin_trgm_ops"},
    )
    op.create_index("ix_policy_viewed", "policy", ["view_count", "id"], unique=False)
    op.create_index(
        "uq_policy_source",
        "policy",
        ["source", "source_id"],
        unique=True,
        postgresql_where=sa.text("source_id IS NOT NULL"),
    )
    op.create_table(
        "store",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("PUBLISHED", "OFFLINE", name="state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision_no", sa.Integer(), nullable=False),
        sa.Column("view_count", sa.Integer(), nullable=False),
        sa.Column("offline_by", sa.Uuid(), nullable=True),
        sa.Column("offline_reason", sa.String(), nullable=True),
        sa.Column(
            "kind",
            sa.Enum(
                "DEPARTMENT",
                "DISTRICT",
                "INSTITUTION",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("district_code", sa.String(), nullable=True),
        sa.Column("department_code", sa.String(), nullable=True),
        sa.Column("parent_department_code", sa.String(), nullable=True),
        sa.Column("slogan", sa.String(length=200), nullable=False),
        sa.Column("emblem", sa.String(length=1000), nullable=True),
        sa.Column("banner", sa.String(length=1000), nullable=True),
        sa.Column("introduction", sa.Text(), nullable=False),
        sa.Column("images", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("contact", sa.String(length=100), nullable=False),
        sa.Column("phone", sa.String(length=100), nullable=False),
        sa.Column("address", sa.String(length=300), nullable=False),
        sa.Column("website", sa.String(length=1000), nullable=True),
        sa.Column("columns", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("rating", sa.Numeric(precision=3, scale=2, asdecimal=False), nullable=True),
        sa.Column("follower_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["department_code"], ["department.code"], name=op.f("fk_store_department_code")),
        sa.ForeignKeyConstraint(["district_code"], ["district.code"], name=op.f("fk_store_district_code")),
        sa.ForeignKeyConstraint(
            ["parent_department_code"], ["department.code"], name=op.f("fk_store_parent_department_code")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store")),
    )
    op.create_index(op.f("ix_store_district_code"), "store", ["district_code"], unique=False)
    op.create_index("ix_store_followers", "store", ["follower_count", "id"], unique=False)
    op.create_index("ix_store_kind", "store", ["kind", "published_at", "id"], unique=False)
    op.create_index(
        "ix_store_name_trgm",
        "store",
        ["name"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.create_index("ix_store_newest", "store", ["published_at", "id"], unique=False)
    op.create_index(op.f("ix_store_owner"), "store", ["owner"], unique=False)
    op.create_index(op.f("ix_store_parent_department_code"), "store", ["parent_department_code"], unique=False)
    op.create_index("ix_store_rating", "store", [sa.literal_column("coalesce(rating, 0)"), "id"], unique=False)
    op.create_index(
        "uq_store_department",
        "store",
        ["department_code"],
        unique=True,
        postgresql_where=sa.text("kind = 'DEPARTMENT'"),
    )
    op.create_index(
        "uq_store_district", "store", ["district_code"], unique=True, postgresql_where=sa.text("kind = 'DISTRICT'")
    )
    op.create_table(
        "street",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("district_code", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["district_code"], ["district.code"], name=op.f("fk_street_district_code")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_street")),
    )
    op.create_index(op.f("ix_street_district_code"), "street", ["district_code"], unique=False)
    op.create_table(
        "article",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("PUBLISHED", "OFFLINE", name="state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision_no", sa.Integer(), nullable=False),
        sa.Column("view_count", sa.Integer(), nullable=False),
        sa.Column("offline_by", sa.Uuid(), nullable=True),
        sa.Column("offline_reason", sa.String(), nullable=True),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.Column(
            "column",
            sa.Enum(
                "NEWS",
                "GUIDANCE",
                "SUCCESS_CASE",
                "GOV_SERVICE_GUIDE",
                "POLICY",
                "SUBORDINATE_OPERATION",
                "DISTRICT_INTRO",
                "INVESTMENT_INFO",
                "DEVELOPMENT_PLAN",
                "INVESTMENT_ATTRACTION",
                "PUBLIC_SERVICE",
                "SOCIAL_SERVICE",
                "GOV_SERVICE_ENTRY",
                "PROXY_REPORT",
                name="column",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "topic",
            sa.Enum(
                "INVESTMENT_PLAN",
                "INVESTMENT_PROJECT",
                "BRAND_CULTIVATION",
                "INVESTMENT_GUIDE",
                "INVESTMENT_NEWS",
                "INDUSTRY_CLUSTER",
                "PARK_TAX_POLICY",
                name="topic",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("summary", sa.String(length=1000), nullable=False),
        sa.Column("cover_image", sa.String(length=1000), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("attachments", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("byline", sa.String(length=100), nullable=False),
        sa.Column("requirements", sa.Text(), nullable=False),
        sa.Column("one_netcom_url", sa.String(length=1000), nullable=True),
        sa.Column("linked_store_id", sa.Uuid(), nullable=True),
        sa.Column("icon", sa.String(length=1000), nullable=True),
        sa.Column("url", sa.String(length=1000), nullable=True),
        sa.Column("sort_order", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["linked_store_id"], ["store.id"], name=op.f("fk_article_linked_store_id")),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_article_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_article")),
    )
    op.create_index("ix_article_newest", "article", ["published_at", "id"], unique=False)
    op.create_index("ix_article_order", "article", ["sort_order", "id"], unique=False)
    op.create_index(op.f("ix_article_owner"), "article", ["owner"], unique=False)
    op.create_index("ix_article_store", "article", ["store_id", "published_at", "id"], unique=False)
    op.create_index("ix_article_store_order", "article", ["store_id", "sort_order", "id"], unique=False)
    op.create_index(
        "ix_article_title_trgm",
        "article",
        ["title"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"title": "gin_trgm_ops"},
    )
    op.create_index("ix_article_viewed", "article", ["view_count", "id"], unique=False)
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("targets", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("client_ip", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["account.id"], name=op.f("fk_audit_entry_actor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_index("ix_audit_entry_action", "audit_entry", ["action", "id"], unique=False)
    op.create_index("ix_audit_entry_actor", "audit_entry", ["actor_id", "id"], unique=False)
    op.create_index("ix_audit_entry_targets", "audit_entry", ["targets"], unique=False, postgresql_using="gin")
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "QUEUED",
                "RUNNING",
                "DONE",
                "FAILED",
                "CANCELLED",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("task", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("message_zh", sa.String(), nullable=False),
        sa.Column("message_en", sa.String(), nullable=False),
        sa.Column("problems_key", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_job_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index("ix_job_account", "job", ["account_id", "id"], unique=False)
    op.create_table(
        "product",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("PUBLISHED", "OFFLINE", name="state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision_no", sa.Integer(), nullable=False),
        sa.Column("view_count", sa.Integer(), nullable=False),
        sa.Column("offline_by", sa.Uuid(), nullable=True),
        sa.Column("offline_reason", sa.String(), nullable=True),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("category_code", sa.String(), nullable=False),
        sa.Column(
            "nature",
            sa.Enum("PUBLIC", "SOCIAL", name="nature", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("provider", sa.String(length=200), nullable=False),
        sa.Column("service_areas", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("targets", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "price_kind",
            sa.Enum(
                "FREE", "PRICED", "NEGOTIABLE", name="price_kind", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("price", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("images", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("summary", sa.String(length=500), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("rating", sa.Numeric(precision=3, scale=2, asdecimal=False), nullable=True),
        sa.Column("order_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["category_code"], ["service_category.code"], name=op.f("fk_product_category_code")),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_product_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
    )
    op.create_index("ix_product_areas", "product", ["service_areas"], unique=False, postgresql_using="gin")
    op.create_index("ix_product_category", "product", ["category_code", "published_at", "id"], unique=False)
    op.create_index(
        "ix_product_name_trgm",
        "product",
        ["name"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.create_index("ix_product_newest", "product", ["published_at", "id"], unique=False)
    op.create_index("ix_product_orders", "product", ["order_count", "id"], unique=False)
    op.create_index(op.f("ix_product_owner"), "product", ["owner"], unique=False)
    op.create_index(
        "ix_product_price_asc", "product", [sa.literal_column("coalesce(price, 10000000000)"), "id"], unique=False
    )
    op.create_index("ix_product_price_desc", "product", [sa.literal_column("coalesce(price, -1)"), "id"], unique=False)
    op.create_index("ix_product_rating", "product", [sa.literal_column("coalesce(rating, 0)"), "id"], unique=False)
    op.create_index("ix_product_store", "product", ["store_id", "published_at", "id"], unique=False)
    op.create_table(
        "revision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "DRAFT",
                "PENDING_REVIEW",
                "REJECTED",
                "SCHEDULED",
                "PUBLISHED",
                "SUPERSEDED",
                "WITHDRAWN",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("values", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("words", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("author_name", sa.String(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("publish_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviewer_id", sa.Uuid(), nullable=True),
        sa.Column("reviewer_name", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("remark", sa.String(), nullable=True),
        sa.CheckConstraint("state <> 'REJECTED' OR remark IS NOT NULL", name=op.f("ck_revision_rejection_has_reason")),
        sa.ForeignKeyConstraint(["author_id"], ["account.id"], name=op.f("fk_revision_author_id")),
        sa.ForeignKeyConstraint(["reviewer_id"], ["account.id"], name=op.f("fk_revision_reviewer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revision")),
        sa.UniqueConstraint("item_id", "no", name=op.f("uq_revision_item_id_no")),
    )
    op.create_index("ix_revision_author", "revision", ["author_id", "id"], unique=False)
    op.create_index(
        "ix_revision_due", "revision", ["publish_at"], unique=False, postgresql_where=sa.text("state = 'SCHEDULED'")
    )
    op.create_index(
        "ix_revision_open_number",
        "revision",
        [sa.literal_column("(values ->> 'document_no')")],
        unique=False,
        postgresql_where=sa.text("state IN ('DRAFT', 'PENDING_REVIEW', 'REJECTED', 'SCHEDULED')"),
    )
    op.create_index(
        "ix_revision_open_source",
        "revision",
        [sa.literal_column("(values ->> 'source_id')")],
        unique=False,
        postgresql_where=sa.text("state IN ('DRAFT', 'PENDING_REVIEW', 'REJECTED', 'SCHEDULED')"),
    )
    op.create_index(
        "ix_revision_open_title",
        "revision",
        ["kind", "title"],
        unique=False,
        postgresql_where=sa.text("state IN ('DRAFT', 'PENDING_REVIEW', 'REJECTED', 'SCHEDULED')"),
    )
    op.create_index("ix_revision_owner", "revision", ["owner", "id"], unique=False)
    op.create_index(
        "ix_revision_queue",
        "revision",
        ["submitted_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'PENDING_REVIEW'"),
    )
    op.create_index(
        "uq_revision_open",
        "revision",
        ["item_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('DRAFT', 'PENDING_REVIEW', 'REJECTED', 'SCHEDULED')"),
    )
    op.create_table(
        "session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("refresh_digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_session_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
    )
    op.create_index(op.f("ix_session_account_id"), "session", ["account_id"], unique=False)
    op.create_table(
        "store_member",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_store_member_account_id")),
        sa.PrimaryKeyConstraint("account_id", "store_id", name=op.f("pk_store_member")),
    )
    op.create_index(op.f("ix_store_member_store_id"), "store_member", ["store_id"], unique=False)
    op.create_table(
        "stored_file",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("content_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_stored_file_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_file")),
        sa.UniqueConstraint("key", name=op.f("uq_stored_file_key")),
    )
    op.create_index(op.f("ix_stored_file_account_id"), "stored_file", ["account_id"], unique=False)


def downgrade() -> None:
    raise RuntimeError("the first migration is not undone: drop the database instead")
