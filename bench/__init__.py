"""Measurements of intentstore against floors: ``python -m bench``. A floor is the least work that keeps the promise."""
