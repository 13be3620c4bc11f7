"""A local OSS that enforces what Aliyun OSS enforces; importing this is cheap, the rest is loaded by start()."""

from .server import AliyunEmulator

__all__ = ["AliyunEmulator"]
