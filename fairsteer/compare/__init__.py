"""Compare steering with other methods on a table, from Python or the command line."""

from fairsteer.compare._load import load_table
from fairsteer.compare._run import Comparison, compare
from fairsteer.compare._summaries import frontier_table
from fairsteer.compare._table import Table
from fairsteer.exceptions import UsageError

__all__ = ["Comparison", "Table", "UsageError", "compare", "frontier_table", "load_table"]
