"""
Whole flows: the registry of open flows, and the operations on stored flows.

`service` has one `session` for each open flow, made at first use and ended after the last.
`library` reads, creates, copies and deletes stored flows, open or not. `version_names` names their
versions, and `purge` removes deleted flows for good. `everywhere` is about the sessions on all
nodes, and `displacements` remembers whose client has joined on another one.

Imports: members, log, delivery, documents, limits, telemetry and the modules at the top. Begin
with `service`.
"""
