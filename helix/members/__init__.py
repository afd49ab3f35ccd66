"""
The members of a flow in both modes, and what they are sent: changes, presence and cursors.

`document_audience` sends entries to members in document mode, `relay` sends whole arrays to
members in relay mode. `awareness` sends presence and cursors, which `presence` and `cursors` hold.
Other nodes' members come from `elsewhere`, by their `roster`, and `pointing` tells those nodes of
the cursors here. `places` sees to it that a client has one place among all nodes.

Imports: log, delivery, documents, limits and the modules at the top. Begin with
`document_audience`.
"""
