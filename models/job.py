"""Long acts of users and the files that they begin and end with."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index
from sqlmodel import Field

from models.base import JSON, UTC_TIME, Labelled, Row, choice


class JobState(Labelled):
    """How far a long act is (任务状态)."""

    QUEUED = "QUEUED", "排队中", "Waits"
    RUNNING = "RUNNING", "进行中", "Runs"
    DONE = "DONE", "已完成", "Done"
    FAILED = "FAILED", "失败", "Failed; nothing was written"
    CANCELLED = "CANCELLED", "已取消", "Cancelled; nothing was written"


ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class StoredFile(Row, table=True):
    """A file that someone uploaded or a job wrote (文件). Whoever has its unguessable address may read it."""

    __tablename__ = "stored_file"

    key: str = Field(unique=True, description="Key within the store (存储键)")
    name: str = Field(max_length=200, description="Name as uploaded (文件名)")
    content_type: str = Field(max_length=100, description="Media type (文件类型)")
    size: int = Field(sa_type=BigInteger, description="Bytes (字节数)")
    account_id: UUID = Field(foreign_key="account.id", index=True, description="Whose it is (上传人)")


class Job(Row, table=True):
    """A long act, such as an import, with its progress (任务; R-ADM-13)."""

    __table_args__ = (Index("ix_job_account", "account_id", "id"),)

    kind: str = Field(description="What is done, such as policy_import (任务类型)")
    state: JobState = Field(
        default=JobState.QUEUED, sa_type=choice(JobState, "state"), description="How far it is (状态)"
    )
    account_id: UUID = Field(foreign_key="account.id", description="Who asked for it (发起人)")
    task: dict[str, Any] = Field(default_factory=dict, sa_type=JSON, description="What it was asked to do (任务参数)")
    total: int | None = Field(default=None, description="Rows to do, null until known (总数)")
    done: int = Field(default=0, description="Rows done (已处理)")
    failed: int = Field(default=0, description="Rows refused (失败数)")
    result: dict[str, Any] = Field(default_factory=dict, sa_type=JSON, description="Counts by outcome (结果)")
    message_zh: str = Field(default="", description="What went wrong, in Chinese (说明)")
    message_en: str = Field(default="", description="What went wrong, in English (英文说明)")
    problems_key: str | None = Field(default=None, description="File of rows refused and warned about (问题清单)")
    ended_at: datetime | None = Field(default=None, sa_type=UTC_TIME, description="When it ended (结束时间)")
