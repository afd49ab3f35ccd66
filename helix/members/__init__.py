"""
The members of a flow in both modes, and what they are sent: changes, presence and cursors.

`document_audience` sends entries to members in document mode, `relay` sends whole arrays to
members in relay mode. `awareness` sends presence and cursors, which `presence` and `cursors` hold.

Imports: log, delivery, documents, limits and the modules at the top. Begin with
`document_audience`.
"""
