"""
A broker over the publish and subscribe of Redis or Valkey.

`broker` keeps connections, `wire` is one of them, over txredisapi. `address` takes the URL apart,
`failures` says what the server's errors mean.

Imports: `helix.broker.carrier`, and what is below it. Begin with `broker`.
"""
