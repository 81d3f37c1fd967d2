"""Evaluation: sets of questions with checks, asked of an assistant with one model or several."""
