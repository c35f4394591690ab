"""
Protocol 0.3 beside 1.0, on the same tasks.

The versions differ in names, not in what they tell. So requests are renamed to 1.0 before they are read, and results
after they were made: `requests` and `shape` are all there is to know of 0.3, `methods` and `rest` say where it is.
"""
