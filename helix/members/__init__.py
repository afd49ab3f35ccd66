"""
Who is told what of a flow: its members in each of the two modes, their presence and their
cursors.

`document_audience` tells those in document mode of entries, `relay` those in relay mode of whole
arrays. `awareness` tells who is here and who points where, which `presence` and `cursors` keep.

Imports: log, delivery, documents, limits and the modules at the top. Begin with
`document_audience`.
"""
