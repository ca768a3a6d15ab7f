"""Tables that tell when they change, so that an answer made of them is kept for as long as it is true, and no longer."""

from alembic import op

from migrations import watch

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WATCHED = (
    "article",
    "department",
    "district",
    "industry",
    "policy",
    "product",
    "sensitive_exception",
    "sensitive_word",
    "service_category",
    "store",
    "street",
)


def upgrade() -> None:
    op.execute(
        "CREATE FUNCTION esc_tell_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('esc_tables', TG_TABLE_NAME); RETURN NULL; END $$"
    )
    for table in WATCHED:
        watch(table)


def downgrade() -> None:
    op.execute("DROP FUNCTION esc_tell_change() CASCADE")
