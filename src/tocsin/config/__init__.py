"""Configuration: one YAML file and `TOCSIN_…` environment variables, checked before anything starts."""

from tocsin.config.errors import ConfigError
from tocsin.config.loading import load_config, with_options
from tocsin.config.reference import print_config, render_reference
from tocsin.config.sections import Config

__all__ = ["Config", "ConfigError", "load_config", "print_config", "render_reference", "with_options"]
