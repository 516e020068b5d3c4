"""What every pilot needs: texts, sizes, trainings, trials that are kept, verdicts."""
