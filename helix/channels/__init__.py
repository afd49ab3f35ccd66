"""
Connections and channels: one client's connection, the channels that it has joined, and its rate
limits.

`connection` reads frames and finds the channel of each; `port` is a channel's place in it; `router`
finds the channel of a topic.
`document` and `relay` are the two modes of a flow; `management` is for clients that delete flows.
`clients` is the connection registry, and `budget` limits each connection.

Imports: flows and what is below it; nothing of HTTP or WebSockets. Begin with `connection`.
"""
