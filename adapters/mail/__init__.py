"""Ways in which the firm's mail leaves: by SMTP, or as files in a folder."""
