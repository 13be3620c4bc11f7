"""Qiniu Kodo as a provider of VVOS. Importing this imports no SDK."""

from .provider import Qiniu
from .settings import Settings

__all__ = ["Qiniu", "Settings"]
