"""Adapters for Stripe: acquirer, payment rail (Connect), statement source and identity check. docs/stripe.md."""
