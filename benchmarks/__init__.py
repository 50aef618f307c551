"""Commands that measure the platform and print the figures with the machine, the versions and the commit."""
