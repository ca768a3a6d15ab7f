"""Sample data: a plausible small city to look at, a big one to measure on, and an account of each kind to sign in with.

All ids are derived from names, so that loading twice changes nothing. Load `load_demo_accounts` first: revisions name
their authors. Nothing here emits events; whoever loads reindexes afterwards. Production refuses demo accounts.
"""

from services.demo.accounts import (
    DEMO_ACCOUNTS,
    PASSWORD,
    DemoAccount,
    access_tokens,
    load_accounts,
    load_demo_accounts,
)
from services.demo.bench import load_bench
from services.demo.city import load_city

__all__ = [
    "DEMO_ACCOUNTS",
    "PASSWORD",
    "DemoAccount",
    "access_tokens",
    "load_accounts",
    "load_bench",
    "load_city",
    "load_demo_accounts",
]
