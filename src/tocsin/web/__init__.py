"""Pages for people, made on the server; they are added to the application of `tocsin.api`."""

from tocsin.web.routes import missing, routes

__all__ = ["missing", "routes"]
