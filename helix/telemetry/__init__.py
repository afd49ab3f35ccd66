"""
What operators can observe: telemetry events, metrics, logs, the status, and the reactor's lag.

The other packages emit through `events`; `metrics`, `logs` and `status` subscribe. `watchdog`
measures the reactor, `poller` bounds its turns, and `clocks` watches the clock of the machine.

Imports: the modules at the top. Begin with `events`, which lists them all.
"""
