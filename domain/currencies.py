"""All currencies, with their number of decimal digits.

ISO 4217, list one, as published by its maintenance agency (SIX) on 2026-01-01: all entries with minor units. Entries
without minor units (gold, silver, test codes) are not money here. Three currencies that were withdrawn recently are
kept for old statements. USDT and USDC are not in ISO 4217; firms that settle in them keep books in hundredths, like
the dollar.
"""

from typing import Final

_NONE: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_TWO: Final = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU
CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES
KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR
NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP
TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
_THREE: Final = "BHD IQD JOD KWD LYD OMR TND"
_FOUR: Final = "CLF UYW"
_WITHDRAWN: Final = "ANG BGN HRK"
_NOT_ISO: Final = "USDT USDC"

DIGITS: Final[dict[str, int]] = {
    currency: digits
    for digits, currencies in ((0, _NONE), (2, _TWO), (3, _THREE), (4, _FOUR), (2, _WITHDRAWN), (2, _NOT_ISO))
    for currency in currencies.split()
}

# Calendars name places, products name currencies.
OF_PLACE: Final[dict[str, str]] = {
    "us": "USD",
    "united states": "USD",
    "eurozone": "EUR",
    "ea": "EUR",
    "euro area": "EUR",
    "germany": "EUR",
    "uk": "GBP",
    "united kingdom": "GBP",
    "ch": "CHF",
    "switzerland": "CHF",
    "japan": "JPY",
    "jp": "JPY",
    "canada": "CAD",
    "australia": "AUD",
    "new zealand": "NZD",
}
