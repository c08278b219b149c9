"""What must be met before a pass or a payout may go ahead."""
