"""
How bytes get to clients: frames, outgoing queues, and one frame to all members of a flow.

`protocol` and `framing` make frames of messages. An `outlet` is the bounded outgoing queue of one
client; `backlog` bounds what waits for all clients together. `broadcast` and
`fanout` send one frame to many.

Imports: telemetry, limits, and the modules at the top. Begin with `protocol`, then `outlet`.
"""
