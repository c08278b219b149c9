"""The rules of accounts: each rule type is one module; evaluation is exact."""
