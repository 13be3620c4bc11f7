"""Amounts as people type them: ``500K`` and ``2M`` bytes a second."""

from __future__ import annotations

import re

import click

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


class Rate(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # older releases of click are no generics
    """Bytes a second; K, M and G are 1024, 1024² and 1024³, as curl and wget take them."""

    name = "rate"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,3})?)([KMG]?)", str(value).upper(), re.ASCII)
        rate = float(match[1]) * _UNITS[match[2]] if match else 0.0
        if rate < 1:
            self.fail(f"{value!r} is no number of bytes a second; write 500K or 2M.", param, ctx)
        return rate
