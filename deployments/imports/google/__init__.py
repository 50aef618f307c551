"""Google Forms: responses as CSV, downloaded from the form or from its sheet."""
