"""The output of the commands: standard streams, the screen, progress bars, and numbers as text.

Code that knows neither nodes nor documents enters.
"""
