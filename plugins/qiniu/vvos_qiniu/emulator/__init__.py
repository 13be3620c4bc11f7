"""A local Kodo that enforces what Qiniu enforces; importing this is cheap, start() loads werkzeug."""

from .server import QiniuEmulator

__all__ = ["QiniuEmulator"]
