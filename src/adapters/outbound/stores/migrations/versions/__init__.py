"""One script a change of the tables; the number says the order."""
