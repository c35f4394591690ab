"""
Facts and decisions: tasks, turns, interrupts, sessions.

Standard library and attrs only. Nothing here awaits, reads a clock, draws a random number, logs or knows JSON.
"""
