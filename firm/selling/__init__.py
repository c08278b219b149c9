"""Selling: what an order costs, coupons, sales and receipts."""
