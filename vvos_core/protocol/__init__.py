"""The protocol of one upload as a state machine without I/O: no sockets, files, clocks, threads or pluggy.

`states` names where an upload can be, `events` what can happen to it, `commands` what it wants done, `table` which
moves are legal, and `machine` makes them.
"""
