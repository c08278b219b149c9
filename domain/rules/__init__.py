"""The rule vocabulary: each rule type is one module that says how its floor moves; evaluation is exact."""
