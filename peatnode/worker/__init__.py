"""The parts of every worker process: its context, its shell, its control link, its start and its end.

Code that several workers need to run under the supervisor may enter; code that knows a particular worker may
not.
"""
