"""Where and what: districts, streets, departments, industries and service categories, loaded from `models/reference/*.csv`."""

from sqlmodel import Field, SQLModel


class District(SQLModel, table=True):
    """One of the city's 16 districts (区) by its code of GB/T 2260."""

    code: str = Field(primary_key=True, description="Code of GB/T 2260, such as 310115 (行政区划代码)")
    name: str = Field(description="Chinese name (名称)")
    name_en: str = Field(description="English name (英文名称)")


class Street(SQLModel, table=True):
    """A street or town (街镇) of a district."""

    code: str = Field(primary_key=True, description="Nine-digit code (街镇代码)")
    name: str = Field(description="Name (名称)")
    district_code: str = Field(foreign_key="district.code", index=True, description="District (所属区)")


class Department(SQLModel, table=True):
    """A department (委办局) of the municipal government."""

    code: str = Field(primary_key=True, description="Stable code, such as SHEITC (部门代码)")
    name: str = Field(unique=True, description="Chinese name (名称)")
    short_name: str = Field(description="Short Chinese name (简称)")
    name_en: str = Field(description="English name (英文名称)")


class Industry(SQLModel, table=True):
    """A class of the national industry classification GB/T 4754-2017 (国民经济行业分类)."""

    code: str = Field(primary_key=True, description="Letter and digits, such as C2711 (行业代码)")
    name: str = Field(description="Name (名称)")
    level: int = Field(description="1 section (门类), 2 division (大类), 3 group (中类), 4 class (小类)")
    parent_code: str | None = Field(default=None, index=True, description="Code one level up (上级代码)")


class ServiceCategory(SQLModel, table=True):
    """A category of service products (服务分类), two levels deep (R-BASE-06)."""

    __tablename__ = "service_category"

    code: str = Field(primary_key=True, description="Eight-digit code (分类代码)")
    name: str = Field(description="Name (名称)")
    parent_code: str | None = Field(default=None, index=True, description="Code one level up (上级代码)")
