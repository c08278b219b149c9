"""Routes of the simulated bank: faults, money that comes in from elsewhere, payments that come back."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from sandbox.bank.bank import SandboxBank
from sandbox.bank.faults import BankFaults
from sandbox.market import SimulatedMarket


class Credit(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str
    amount_minor: Annotated[int, Field(strict=True, gt=0, le=10**13)]
    reference: Annotated[str, Field(min_length=1, max_length=35)]
    debtor: Annotated[str, Field(min_length=1, max_length=70)]


class SentBack(BaseModel):
    """`key`: of a payment that has arrived."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Annotated[str, Field(min_length=1, max_length=35)]


def bank_router(market: SimulatedMarket, bank: SandboxBank) -> APIRouter:
    """Returns the routes. An effect is in the journal before the answer is sent."""
    router = APIRouter()

    @router.put("/bank/faults")
    async def set_faults(body: BankFaults) -> BankFaults:
        bank.faults = body.counted_since(bank.faults.uses)
        bank.save_faults()
        market.commit()
        return body

    @router.get("/bank/faults")
    async def faults() -> BankFaults:
        return bank.faults

    @router.get("/bank/faults/uses")
    async def uses() -> dict[str, int]:
        """Returns how often each fault really happened."""
        return bank.faults.uses

    @router.post("/bank/credits", status_code=201)
    async def credit(body: Credit) -> None:
        bank.credit(body.currency, body.amount_minor, reference=body.reference, debtor=body.debtor)
        market.commit()

    @router.post("/bank/returns", status_code=201)
    async def send_back(body: SentBack) -> None:
        bank.send_back(body.key)
        market.commit()

    return router
