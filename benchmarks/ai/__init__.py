"""What the models are worth: accuracy on texts that were held out, speed, and what it is measured on."""
