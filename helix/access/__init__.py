"""
Who may do what: principals, roles, grants, and the one decision. Pure, with no I/O and no Twisted.

Whoever acts is a `principal`. What they may do with a flow is a role (`roles`), perhaps narrowed
to some paths of the document (`paths`). `decision` makes one permission of all that gives a role.
Every place where a client asks for something asks that permission.

Imports: `helix.errors` only. Begin with `decision`.
"""
