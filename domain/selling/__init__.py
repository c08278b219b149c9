"""What an order costs: prices, add-ons and coupons."""
