"""What a model can do: perplexity, multiple choice, and the tasks of lm-evaluation-harness."""
