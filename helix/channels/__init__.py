"""
One client's side of the wire: its connection, the channels that it has joined, and what it may
do.

`connection` reads frames and knows which channel each is for; `router` tells by the topic what
can be joined: `document` and `relay` are the two modes of a flow, `management` is for those who
delete flows. `clients` is the registry of all connections, and `budget` bounds what each may ask
for.

Imports: flows and what is below it; nothing of HTTP or WebSockets. Begin with `connection`.
"""
