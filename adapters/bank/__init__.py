"""A bank that exchanges files through a folder (ISO 20022): the payment rail `bank` and its statement source."""
