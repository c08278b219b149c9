"""Pure arithmetic of the firm's reports: months, shares, cohorts of purchases."""
