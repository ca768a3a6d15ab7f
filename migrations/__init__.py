"""The database's form over time: `upgrade` brings it to the newest, `drift` tells where the models differ."""

from pathlib import Path
from typing import Any

from alembic import command, op
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

import models  # noqa: F401 - fills SQLModel.metadata
from kit.db import engine_url

FOLDER = Path(__file__).parent
QUEUE_TABLES = "pgqueuer"


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config


def head() -> str | None:
    """The newest revision in this code."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return ScriptDirectory.from_config(config).get_current_head()


def included(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:  # noqa: FBT001 - alembic's hook
    """Leaves the job queue's tables alone: its own package defines them."""
    return not (kind == "table" and name is not None and name.startswith(QUEUE_TABLES))


def watch(table: str) -> None:
    """For a migration: the table tells of each statement that writes it, so that answers made of it can be kept.

    Not for what only its owner sees, since such answers are not kept, nor for what is written at a high rate, since
    PostgreSQL lets transactions that notify commit one after another. `esc_tell_change` stands in 0002.
    """
    op.execute(
        f"CREATE TRIGGER tell_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION esc_tell_change()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER tell_change")


async def upgrade(url: str) -> None:
    engine = create_async_engine(engine_url(url))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
    finally:
        await engine.dispose()


async def new_revision(url: str, message: str) -> None:
    """Writes the migration from the database's present form to the models'."""
    engine = create_async_engine(engine_url(url))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(lambda sync: command.revision(_config(sync), message=message, autogenerate=True))
    finally:
        await engine.dispose()


async def drift(url: str) -> list[str]:
    """What the models have and the migrated database has not, or the other way round."""
    engine = create_async_engine(engine_url(url))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_compare)
    finally:
        await engine.dispose()


def _compare(connection: Connection) -> list[str]:
    options = {"include_object": included, "compare_type": True, "compare_server_default": False}
    context = MigrationContext.configure(connection, opts=options)
    return [str(difference) for difference in compare_metadata(context, SQLModel.metadata)]
