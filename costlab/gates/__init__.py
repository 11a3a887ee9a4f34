"""A gate: models, what they may cost, and whether they do; for continuous integration.

``settings`` reads what a project wants of its models, ``limits`` judges one model, ``causes`` says
which layers made a limit fail, and ``gate`` has the result of all of it. docs/ci.md is for users.
"""
