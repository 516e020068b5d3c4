"""What is done with a picture: pruning, partial fine-tuning, sharing."""
