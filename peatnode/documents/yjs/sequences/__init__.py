"""The order of the items in the types of a document, found from the updates alone, exactly as Yjs finds it.

Code that orders, reads or places items belongs here. It knows lists and ids; it knows neither JSON nor HTTP.
"""
