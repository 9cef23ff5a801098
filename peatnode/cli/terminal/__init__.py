"""What the commands write to: standard streams, the screen, progress bars, and numbers as text.

Nothing here knows nodes or documents.
"""
