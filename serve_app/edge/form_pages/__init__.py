"""The hosted form page: a published definition as HTML that works with and without JavaScript."""
