"""Where and what: districts, streets, departments, industries, service categories."""

import strawberry

import models
from resolvers import area as resolvers
from resolvers.loaders import Loaders
from schema.base import described, field, reference, related


@described(models.Street)
class Street:
    """A street or town (街镇) of a district."""

    code: str
    name: str


@reference(models.District, Loaders.district)
class District:
    """One of the city's 16 districts (区)."""

    code: str = field(partner=True)
    name: str = field(partner=True)
    name_en: str = field(partner=True)
    streets: list[Street] = related(Loaders.streets, by="code", about="Its streets and towns (街镇)")


@reference(models.Department, Loaders.department)
class Department:
    """A department (委办局) of the municipal government."""

    code: str = field(partner=True)
    name: str = field(partner=True)
    short_name: str = field(partner=True)
    name_en: str = field(partner=True)


@reference(models.Industry, Loaders.industry)
class Industry:
    """A class of the national industry classification GB/T 4754-2017 (国民经济行业)."""

    code: str = field(partner=True)
    name: str = field(partner=True)
    level: int = field(partner=True)
    parent: "Industry | None" = related(Loaders.industry, by="parent_code", about="One level up (上级行业)")
    children: list["Industry"] = related(Loaders.industries_below, by="code", about="One level down (下级行业)")


@reference(models.ServiceCategory, Loaders.service_category)
class ServiceCategory:
    """A category of service products (服务分类)."""

    code: str = field(partner=True)
    name: str = field(partner=True)
    parent: "ServiceCategory | None" = related(
        Loaders.service_category, by="parent_code", about="One level up (上级分类)"
    )
    children: list["ServiceCategory"] = related(
        Loaders.service_categories_below, by="code", about="One level down (下级分类)"
    )


@strawberry.type
class Query:
    districts: list[District] = field(resolvers.districts, access="public", partner=True, shared=True)
    departments: list[Department] = field(resolvers.departments, access="public", partner=True, shared=True)
    industries: list[Industry] = field(resolvers.industries, access="public", partner=True, shared=True)
    service_categories: list[ServiceCategory] = field(
        resolvers.service_categories, access="public", partner=True, shared=True
    )
