"""
Members in relay mode: whole arrays of nodes and edges come in and go out, and edits of the
document are made of them.

`reading` checks what was sent, `view` finds out what its sender changed, `staging` makes an edit
of that, and `audience` does it for all members. `bridge` has what all of them share; `past` and
`history` know what once was, so that an old copy isn't taken for an edit.
docs/adr/0009-relay-bridge.md says why it is as it is.

Begin with `audience`.
"""
