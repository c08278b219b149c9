"""`propos chaos mail`: conversations by real SMTP on loopback, with everything that goes wrong in mail."""
