"""The user's things are left as they were: modules, torch's settings, random numbers.

What a run changes itself is a context manager, which undoes it.
"""
