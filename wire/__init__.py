"""The languages of other parties: their published descriptions, unchanged, and the code generated from them.

Adapters speak them, and the sandbox answers in them. A folder per party, with its licence.
"""
