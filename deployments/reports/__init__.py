"""Documents made of responses: results and single responses as PDF, by schedule too."""
