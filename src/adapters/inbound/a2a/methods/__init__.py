"""
Extension methods: JSON-RPC methods beyond A2A, the same in every protocol version.

`table` is the only list of them: dispatch, the card, the contract documents, OpenAPI and the reference in
docs/reference/methods.md are all made from it. A method is a row there, a class of parameters in `params`, and a
function of a few lines that asks a use case and tells what it gave.
"""
