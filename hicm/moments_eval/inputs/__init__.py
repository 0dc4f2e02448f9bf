"""What is scored: rules, and queries side by side with what is predicted for them."""
