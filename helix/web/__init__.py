"""
Everything that is spoken over HTTP: REST, the editor's files, the status page, WebSockets and
long polling.

`site` is the root. `routes` has what all routes of REST share, `flows` the routes of flows.
`websocket` and `long_poll` carry the frames of `helix.channels.connection`. `admission` and
`auth` say who may connect.

Imports: everything below; nothing but `helix.wiring` and `helix.tap` imports this. Begin with
`site`.
"""
