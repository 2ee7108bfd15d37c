"""A Spark session of one's own, or the reason why there is none."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tocsin.errors import TocsinError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@contextmanager
def spark_session(master: str) -> Iterator[SparkSession]:
    """A session on `master` (`local[2]` = two threads here); ended with the context. Takes some seconds.

    A local one listens on loopback alone. Raises TocsinError when PySpark or Java is missing.
    """
    if find_spec("pyspark") is None:
        raise TocsinError("PySpark is not installed: pip install 'tocsin[spark]'")
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise TocsinError("Spark needs Java 17 or newer: install it, or set JAVA_HOME")
    from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra: only who asks for Spark needs it

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # the one setting that local executors look at
    builder = SparkSession.builder.master(master).appName("tocsin")
    for name, value in _settings(master).items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    try:
        yield session
    finally:
        session.stop()


def _settings(master: str) -> dict[str, str]:
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "64",  # a record may hold thousands of events
    }
    if master.startswith("local"):
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    return settings
