"""
What the server tells its operators of itself: events, metrics, logs, the status, and how late the
reactor is.

`events` is where the other packages emit; `metrics`, `logs` and `status` subscribe. `watchdog`
and `poller` measure the reactor, and `clocks` watches the clock of the machine.

Imports: the modules at the top. Begin with `events`, which lists them all.
"""
