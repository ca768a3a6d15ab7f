"""Reads of reference data: short lists, whole."""

from typing import Annotated, Any

from sqlmodel import col
from strawberry import argument as about

from auth.visibility import visible
from kit.db import fetch
from models.area import Department, District, Industry, ServiceCategory
from resolvers.context import Info


async def districts(info: Info) -> Any:
    """The city's 16 districts (区)."""
    return await fetch(visible(District, info.context.viewer).order_by(District.code))


async def departments(info: Info) -> Any:
    """The departments (委办局) that publish on the platform."""
    return await fetch(visible(Department, info.context.viewer).order_by(Department.code))


async def industries(
    info: Info,
    parent: Annotated[str | None, about(description="Code one level up; null: the 20 sections (上级代码)")] = None,
) -> Any:
    """Industries of GB/T 4754-2017, one level at a time (国民经济行业)."""
    return await fetch(
        visible(Industry, info.context.viewer).where(col(Industry.parent_code) == parent).order_by(Industry.code)
    )


async def service_categories(info: Info) -> Any:
    """The ten service categories (服务分类) of the first level."""
    table = ServiceCategory
    return await fetch(visible(table, info.context.viewer).where(col(table.parent_code).is_(None)).order_by(table.code))
