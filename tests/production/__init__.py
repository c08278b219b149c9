"""What a person does who puts a firm into production, done as the guide says."""
