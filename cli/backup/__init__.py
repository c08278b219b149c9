"""`propos backup` and `propos restore`: the record, the embedded Temporal, and the files between firm and bank."""
