"""Spelling of names: `apply_start` in Python is `applyStart` on the wire."""


def camel(name: str) -> str:
    """Also for dotted paths: `contact_person.phone_no` → `contactPerson.phoneNo`."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def snake(name: str) -> str:
    """`ContestProject` → `contest_project`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
