"""One connection to a bank: its record, its folder, and the work that is done whenever somebody asks."""

from datetime import datetime

from adapters.bank.config import BankSettings
from adapters.bank.folder import Folder
from adapters.bank.intake import Intake
from adapters.bank.outbox import Outbox
from adapters.bank.store import BankStore, Connect, connect
from domain.errors import Unavailable


class BankLink:
    """The rail and the statement source of one name each have one, in every process: the folder and the record are
    shared. Files have no webhooks, so each question about transfers, events or entries first sends and reads files."""

    def __init__(self, settings: BankSettings, connect: Connect = connect) -> None:
        self.settings = settings
        self.store = BankStore(settings.folder, connect)
        self._folder = Folder(settings.folder)
        self._intake = Intake(settings, self.store, self._folder)
        self._outbox = Outbox(settings, self.store, self._folder)

    def now(self) -> datetime:
        return self.settings.now()

    def exchange(self) -> None:
        """Gives out the files that are due and reads those that have come. Does nothing while another process does
        so. Raises Unavailable."""
        now = self.now()
        try:
            with self._folder.lock() as alone:
                if alone:
                    self._intake.read_all(now)
                    self._outbox.send_due(now)
        except OSError as exc:
            raise Unavailable(
                f"The folder {self.settings.folder} cannot be used: {exc.strerror}.", remedy="Check the bank's link."
            ) from exc

    def state(self) -> str:
        """Returns how the connection is, for people. Raises Unavailable."""
        refused = self.store.row("SELECT count(*) AS n FROM files WHERE outcome = 'refused'")
        waiting = self.store.row("SELECT count(*) AS n FROM orders WHERE status = 'waiting'")
        assert refused is not None and waiting is not None
        accounts = ", ".join(f"{each.currency} ...{each.iban[-4:]}" for each in self.settings.accounts.values())
        return f"bank files, accounts {accounts}; {waiting['n']} payments to send, {refused['n']} files refused"

    def close(self) -> None:
        self.store.close()
