"""What is scored, and by which rules: files read and checked, predictions and references side by side, protocols."""
