"""
The gRPC binding (A2A 1.0, 10): the operations of JSON-RPC and HTTP+JSON, in protobuf; imported only where it is on.

`v1` and `v03` are the services of the two protocol versions, `door` is what every call of either comes through:
who asks, in which version, and how whatever is refused is told. `server` listens.

Results are what the other bindings tell, read into the SDK's messages: a task is the same by whatever binding it is
got. Only pieces of text, most of what there is to tell, have a shorter way (`frames`).
"""
