"""The rules by which calls of torch become operations, a file for each kind of calls.

A rule takes the tape and what the call takes, under torch's own names of arguments.
"""
