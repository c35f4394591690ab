"""
The OpenAPI document: what is served, told to programs.

It is made from the routes of the application, the table of JSON-RPC methods and the SDK's own types. What cannot be
seen there, the words of a summary and which shape an answer has, stands in two tables: `paths` and `methods`. A route or
a method which is in neither, nor among those that are refused always, leaves the document unmade, and a test red.
"""
