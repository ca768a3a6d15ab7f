"""Sessions that end and accounts that are disabled are told to every process, with the commit that does it."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE FUNCTION esc_tell_ended() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('esc_ended', NEW.id::text); RETURN NULL; END $$"
    )
    op.execute(
        "CREATE FUNCTION esc_tell_enabled() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_notify(CASE WHEN NEW.enabled THEN 'esc_restored' ELSE 'esc_ended' END, NEW.id::text); "
        "RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER tell_ended AFTER UPDATE OF ended_at ON session FOR EACH ROW "
        "WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION esc_tell_ended()"
    )
    op.execute(
        "CREATE TRIGGER tell_enabled AFTER UPDATE OF enabled ON account FOR EACH ROW "
        "WHEN (OLD.enabled IS DISTINCT FROM NEW.enabled) EXECUTE FUNCTION esc_tell_enabled()"
    )
    op.execute("ALTER TABLE session ENABLE ALWAYS TRIGGER tell_ended")
    op.execute("ALTER TABLE account ENABLE ALWAYS TRIGGER tell_enabled")


def downgrade() -> None:
    op.execute("DROP FUNCTION esc_tell_ended() CASCADE")
    op.execute("DROP FUNCTION esc_tell_enabled() CASCADE")
