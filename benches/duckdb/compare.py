#!/usr/bin/env python3
"""What questions over the past cost in DuckDB, over a folder that `weir export` wrote.

The table is that of `cargo xtask bench whatif`, so that the two can be set side by side. Of the same machine and the
same alerts (`cargo xtask demo --alerts 4000000 --keep STORE`, `weir serve --data STORE`, `weir export --parquet DIR`):

    benches/duckdb/compare.py DIR

It must not know the host. DuckDB comes from PyPI into an environment of its own, which is removed at the end; where this
Python has DuckDB already, that is used. Each question is asked of warm files some times; the least processor time counts.

What DuckDB answers is what one would write: how many alerts would be newly suppressed and newly forwarded, by code,
operator, generation, model and hour of the day. A what-if says that and more, and runs the rules behind the candidate
again; it keeps a rule's state as the rule does, and knows which codes are protected. Here a storm's windows begin with
the clock's hour, not with the first alert of the storm, for SQL has no words for that short of a recursive query.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import venv

SWEEP = [2530, 2540, 2550, 2560, 2570, 2580, 2590, 2600]
HEADER = ["question", "threads", "alerts", "seconds", "processor seconds", "million alerts/s", "per processor second"]

# An alert that passed, or that the rule to be replaced held back, is for the candidate to decide.
THRESHOLD = """
select {limit} as below_dv, code, operator, generation, model, hour(received_at) as hour,
       count(*) filter (where outcome = 'forwarded' and held) as newly_suppressed,
       count(*) filter (where outcome = 'suppressed' and not held) as newly_forwarded
from (select *, coalesce(code = '8F40' and measurement < {limit}, false) as held from {alerts}{limits})
where outcome = 'forwarded' or rule = '{rule}'
group by all having newly_suppressed + newly_forwarded > 0
"""

# The first so many of a window pass, then one a period.
STORM = """
with counted as (
    select *, row_number() over in_window as nth,
           row_number() over (partition by device_id, code, epoch_ms(occurred_at) // {period_ms}
                              order by occurred_at, position) as in_period
    from {alerts} where outcome = 'forwarded' or rule = '{rule}'
    window in_window as (partition by device_id, code, epoch_ms(occurred_at) // {window_ms}
                         order by occurred_at, position)
)
select code, operator, generation, model, hour(received_at) as hour,
       count(*) filter (where outcome = 'forwarded' and held) as newly_suppressed,
       count(*) filter (where outcome = 'suppressed' and not held) as newly_forwarded
from (select *, nth > {more_than} and in_period > 1 as held from counted)
group by all having newly_suppressed + newly_forwarded > 0
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="what `weir export --parquet` wrote to")
    parser.add_argument("--threads", type=int, default=2, help="threads of DuckDB (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each question is asked (default: 3)")
    parser.add_argument("--threshold-rule", default="voltage-8f40", help="the rule that a threshold replaces")
    parser.add_argument("--storm-rule", default="storm", help="the rule that storm protection replaces")
    parser.add_argument("--more-than", type=int, default=40, help="alerts of a window that pass (default: 40)")
    return parser.parse_args()


def with_duckdb():
    """Runs this again in an environment that has DuckDB, where this Python has none."""
    try:
        import duckdb  # noqa: F401
        return
    except ImportError:
        pass
    with tempfile.TemporaryDirectory() as folder:
        print("making an environment with DuckDB from PyPI", file=sys.stderr)
        venv.create(folder, with_pip=True)
        python = os.path.join(folder, "bin", "python")
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "duckdb", "pytz"]
        subprocess.run(install, check=True)
        sys.exit(subprocess.run([python, __file__, *sys.argv[1:]]).returncode)


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def table(rows):
    """The borders of `cargo xtask bench`."""
    widths = [max(len(row[at]) for row in [HEADER, *rows]) for at in range(len(HEADER))]

    def line(cells):
        aligned = [cells[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:]))]
        return "│ " + " ┆ ".join(aligned) + " │"

    def border(left, dash, middle, right):
        return left + middle.join(dash * (width + 2) for width in widths) + right

    head = [border("┌", "─", "┬", "┐"), line(HEADER), border("╞", "═", "╪", "╡")]
    return "\n".join([*head, *map(line, rows), border("└", "─", "┴", "┘")])


def main():
    args = arguments()
    with_duckdb()
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"set threads = {args.threads}; set TimeZone = 'UTC'; set enable_progress_bar = false")
    pattern = os.path.join(args.folder, "**", "*.parquet").replace("'", "''")
    alerts = f"read_parquet('{pattern}', hive_partitioning=true)"
    (count,) = connection.execute(f"select count(*) from {alerts}").fetchone()
    limits = ", (select unnest([" + ", ".join(map(str, SWEEP)) + "]) as below)"
    rule = args.threshold_rule.replace("'", "''")
    storm = {"rule": args.storm_rule.replace("'", "''"), "more_than": args.more_than}
    questions = [
        ("stateless: one threshold", THRESHOLD.format(alerts=alerts, limits="", limit=2530, rule=rule)),
        ("stateless: a sweep of eight", THRESHOLD.format(alerts=alerts, limits=limits, limit="below", rule=rule)),
        ("stateful: storm protection", STORM.format(alerts=alerts, window_ms=3_600_000, period_ms=3_600_000, **storm)),
    ]
    rows, said = [], []
    for what, question in questions:
        connection.execute(question).fetchall()
        best = None
        for _ in range(args.rounds):
            begun, used = time.monotonic(), processor_seconds()
            answer = connection.execute(question).fetchall()
            took, used = time.monotonic() - begun, processor_seconds() - used
            best = min(best or (used, took), (used, took))
        used, took = best
        rate = [f"{count / max(seconds, 1e-9) / 1e6:.1f}" for seconds in (took, used)]
        rows.append([what, str(args.threads), str(count), f"{took:.3f}", f"{used:.2f}", *rate])
        suppressed, forwarded = (sum(row[at] for row in answer) for at in (-2, -1))
        said.append(f"{what}: {suppressed:,} newly suppressed, {forwarded:,} newly forwarded")
    print(table(rows))
    print("\n".join(said))
    print(f"DuckDB {duckdb.__version__} over warm Parquet; the best of {args.rounds} rounds. A sweep counts each alert once.")


if __name__ == "__main__":
    main()
