"""Fakes as the composition root hands them out: by name, the first one for what is new."""

from ports.payments import PaymentProvider, Providers
from ports.platform import Platforms, TradingPlatform


def platforms(*them: TradingPlatform) -> Platforms:
    return Platforms({one.name: one for one in them}, them[0].name)


def providers(*them: PaymentProvider) -> Providers:
    return Providers({one.name: one for one in them}, checkout=them[0].name, rail=them[0].name)
