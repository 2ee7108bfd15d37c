"""Pages for people, made on the server; `routes(services)` are added to the application of `tocsin.api`."""

from tocsin.web.routes import routes

__all__ = ["routes"]
