"""
The commands of ``helix``: each is a client of a running server, or works on a store that no
server has open.

`main` has the commands, `commands` runs each on a reactor, `terminal` shows and writes, `tailing`
and `transfers` are what the larger ones do.

Imports: client, store, log (to verify), and the modules at the top. Begin with `main`.
"""
