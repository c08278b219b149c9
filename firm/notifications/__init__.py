"""Telling people what happened: from business events to mails and to the lists in the console."""
