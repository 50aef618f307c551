"""The language of filters over a form's responses: what can be asked of its answers, and what a question means."""
