"""Tables that tell when they change, so that an answer made of them is kept for as long as it is true, and no longer.

Not among them: what only its owner sees, since such answers are not kept, and what is written at a high rate, since
PostgreSQL lets transactions that notify commit one after another.
"""

from alembic import op

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
        op.execute(
            f"CREATE TRIGGER tell_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION esc_tell_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER tell_change")


def downgrade() -> None:
    op.execute("DROP FUNCTION esc_tell_change() CASCADE")
