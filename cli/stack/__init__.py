"""The processes of a running firm: embedded servers, supervision, locks, logs."""
