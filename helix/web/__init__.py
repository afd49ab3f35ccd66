"""
Everything over HTTP: REST, the editor's files, the status page, WebSockets and
long polling.

`site` is the root. `routes` has what all routes of REST share; `flows` and `templates` are theirs.
`upgrade` makes WebSockets of requests; `websocket` and `long_poll` carry the frames of
`helix.channels.connection`. `admission` (admission control) decides who may connect, and `gate`
finds out who makes a request by REST.

Imports: everything below; nothing but `helix.wiring` and `helix.tap` imports this. Begin with
`site`.
"""
