"""A local S3 that enforces what AWS enforces; importing this is cheap, moto is loaded by S3Emulator.start()."""

from .server import S3Emulator

__all__ = ["S3Emulator"]
