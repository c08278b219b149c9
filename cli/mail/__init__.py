"""`propos mails` and `propos mail-in`."""
