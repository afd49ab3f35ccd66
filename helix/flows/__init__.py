"""
Flows as a whole: the registry of those that are open, and what can be done with those that are
stored.

`service` has one `session` for each flow that is open, made at first use and gone after the last.
`library` reads, makes, copies and removes stored flows, whether or not somebody has them open.
`version_names` and `purge` are beside it.

Imports: members, log, delivery, documents, limits, telemetry and the modules at the top. Begin
with `service`.
"""
