"""What is to be expected of a form's figures, and what is not as expected."""
