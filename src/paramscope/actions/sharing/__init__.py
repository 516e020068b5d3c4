"""What domains can share, what each way costs, and when it pays back."""
