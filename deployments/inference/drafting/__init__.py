"""Drafts of forms from a prompt, by rules: what is asked for, of which type each question is, and what was assumed."""
