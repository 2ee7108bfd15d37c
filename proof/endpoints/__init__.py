"""What each endpoint and job needs: the page, and the traces of a real server that it is checked against."""
