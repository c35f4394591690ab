"""
The agent cards (A2A 1.0, 8): what the service says of itself.

`extensions` is the table of what is served beyond the protocol, `document` writes a card, `served` keeps the written
ones. A card is written from the tables the application serves from, so that it promises nothing that is refused.
"""
