"""Small programs that show the broker at work; none of them is needed by the site."""
