"""What every worker process needs: its context, its shell, its control link, and the way in and out.

Workers and the supervisor import from here; nothing here knows a particular worker, and nothing here forks.
"""
