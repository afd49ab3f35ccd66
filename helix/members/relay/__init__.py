"""
Members in relay mode: they send and receive whole arrays of nodes and edges, from which edits of
the document are made.

`reading` checks what was sent, `view` finds out what its sender changed, `staging` makes an edit
of that, and `audience` does it for all members. `bridge` has what all of them share; `past` and
`history` know past values, so that an old copy isn't taken for an edit. `elsewhere` has the members
on other nodes.
docs/adr/0009-relay-bridge.md gives the reasons.

Begin with `audience`.
"""
