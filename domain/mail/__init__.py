"""Mail as bytes and back: what is sent, how a mail is read, where it belongs. Pure functions."""
