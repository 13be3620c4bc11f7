"""Aliyun OSS as a provider of VVOS. Importing this imports no SDK."""

from .provider import Aliyun
from .settings import Settings

__all__ = ["Aliyun", "Settings"]
