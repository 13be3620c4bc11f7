"""WebDAV servers behind a small gate, as a provider of VVOS."""

from .provider import WebdavProvider

__all__ = ["WebdavProvider"]
