"""Looks at a deployment and says what to mend: the broker, the hosts, and the bucket that a profile names.

    examination all of it: `examine`
    broker      the three calls and their address
    hosts       one host: reachable, its certificate, its clock
    trial       what every provider must be able to do, tried with its own hooks
    together    many waits at once, and none for ever

What only a provider knows (the bucket's rules, the rights of its keys) its hook ``diagnose`` says.
"""

from .examination import examine

__all__ = ["examine"]
