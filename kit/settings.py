"""Every switch of the platform, read once from the environment (`.env.example` lists them)."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
DEVELOPMENT_SECRET = "development-only-secret-development-only-secret"  # noqa: S105 - production refuses to start with it
MINIMUM_SECRET_LENGTH = 32
ARGON2_MEMORY_KIB = 19_456
ARGON2_TIME_COST = 2


class Settings(BaseSettings):
    """What an operator may set. An empty address means: run the embedded server (`kit/local.py`)."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", hide_input_in_errors=True)

    env: Literal["development", "production"] = Field("development", alias="ESC_ENV")
    strict: bool = Field(default=False, alias="ESC_STRICT")
    home: Path = Field(ROOT / ".esc", alias="ESC_HOME")
    host: str = Field("127.0.0.1", alias="HOST")
    port: int = Field(8000, alias="PORT")
    workers: int = Field(1, alias="ESC_WORKERS", ge=1)
    log_format: Literal["console", "json"] = Field("console", alias="ESC_LOG")

    database_url: str = Field("", alias="DATABASE_URL")
    redis_url: str = Field("", alias="REDIS_URL")
    meili_url: str = Field("", alias="MEILI_URL")
    meili_key: SecretStr = Field(SecretStr(""), alias="MEILI_KEY")
    s3_endpoint: str = Field("", alias="S3_ENDPOINT")
    s3_bucket: str = Field("", alias="S3_BUCKET")
    s3_access_key: str = Field("", alias="S3_ACCESS_KEY")
    s3_secret_key: SecretStr = Field(SecretStr(""), alias="S3_SECRET_KEY")
    s3_region: str = Field("us-east-1", alias="S3_REGION")

    secret_key: SecretStr = Field(SecretStr(DEVELOPMENT_SECRET), alias="ESC_SECRET_KEY")
    allowed_origins: tuple[str, ...] = Field((), alias="ESC_ALLOWED_ORIGINS")
    read_pool_size: int = Field(10, alias="ESC_READ_POOL")
    write_pool_size: int = Field(10, alias="ESC_WRITE_POOL")
    cache_mib: int = Field(64, alias="ESC_CACHE_MIB", ge=0)
    argon2_memory_kib: int = Field(ARGON2_MEMORY_KIB, alias="ESC_ARGON2_MEMORY_KIB")
    argon2_time_cost: int = Field(ARGON2_TIME_COST, alias="ESC_ARGON2_TIME_COST")

    @property
    def development(self) -> bool:
        return self.env == "development"

    @property
    def hardened(self) -> bool:
        """Whether the wire shows no more than production does: no introspection for all, no suggestions."""
        return self.strict or not self.development

    @property
    def search_home(self) -> Path:
        return self.home / "search"

    @property
    def files_home(self) -> Path:
        return self.home / "files"

    @model_validator(mode="after")
    def _refuse_unsafe_production(self) -> Self:
        """Production never starts on a public secret or on weak password hashing (OWASP; GB/T 22239 8.1.4.1)."""
        if len(self.secret_key.get_secret_value()) < MINIMUM_SECRET_LENGTH:
            raise ValueError(f"ESC_SECRET_KEY must have at least {MINIMUM_SECRET_LENGTH} characters")
        if self.development:
            return self
        if self.secret_key.get_secret_value() == DEVELOPMENT_SECRET:
            raise ValueError("ESC_SECRET_KEY must be set in production")
        if self.argon2_memory_kib < ARGON2_MEMORY_KIB or self.argon2_time_cost < ARGON2_TIME_COST:
            raise ValueError(f"ESC_ARGON2_* is below {ARGON2_MEMORY_KIB} KiB and {ARGON2_TIME_COST} passes")
        missing = [name for name in ("database_url", "redis_url") if not getattr(self, name)]
        if missing:
            raise ValueError(f"production needs {' and '.join(name.upper() for name in missing)}")
        return self


settings = Settings()  # type: ignore[call-arg]  # pydantic-settings fills every field from the environment
