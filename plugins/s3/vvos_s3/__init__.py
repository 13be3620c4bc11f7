"""S3 and what is compatible with it, as a provider of VVOS. Importing this imports no SDK."""

from .provider import S3
from .settings import Settings

__all__ = ["S3", "Settings"]
