"""The desk of a third party at which people work on tickets; the record here stays the truth."""
