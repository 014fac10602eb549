"""Results in the hands of others: pandas, Polars, DuckDB and pyarrow filter, join, sort, pivot, group and write them to CSV.

Run by hand, from the repository's root, before a release and when the writer changes (versions of November 2026: pandas 3.1.1, pyarrow
26.0.1, Polars 2.1.0, DuckDB 2.0.1):

    cargo build --release
    python3 -m venv /tmp/readers
    /tmp/readers/bin/pip install pandas pyarrow polars duckdb
    /tmp/readers/bin/python tests/readers/read.py target/release/nkfac-bench

It runs a small experiment in a temporary folder. A second argument, a folder of results, is read in its place. Exit code 1 if anything fails.
"""

import glob
import os
import subprocess
import sys
import tempfile

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet as pq

EXPERIMENT = """
name = "small"
[base]
epochs = 2
batch = 32
data = { kind = "digits", train_limit = 320 }
model = { kind = "mlp", hidden = [8] }
schedule = { kind = "constant", lr = 0.05 }
optimizer = { preset = "sgd" }
[[arm]]
name = "sgd"
[[arm]]
name = "λ, \\"µ\\""
optimizer.update.momentum = 0.5
[sweep]
seed = [1, 2]
"""


def results(program, folder):
    with open(os.path.join(folder, "x.toml"), "w", encoding="utf-8") as file:
        file.write(EXPERIMENT)
    subprocess.run([program, "run", "x.toml", "--threads", "1"], cwd=folder, check=True, capture_output=True)
    out = os.path.join(folder, "results/small")
    # What lies beside finished trials while a search runs.
    for beside in ["_unfinished/x/lock", "_tuning/x.parquet", "_slurm/job.sh"]:
        os.makedirs(os.path.dirname(os.path.join(out, beside)))
        with open(os.path.join(out, beside), "w", encoding="utf-8") as file:
            file.write("no Parquet")
    return out


def checks(folder, out):
    """Names and calls; each returns what is to be true."""
    files = sorted(glob.glob(folder + "/*.parquet"))
    pattern = folder + "/*.parquet"
    text = {field.name: field.type for field in pq.read_schema(files[0]) if "string" in str(field.type)}
    tables = pa.concat_tables(pq.read_table(file) for file in files)
    origins = tables.group_by(["trial", "arm"]).aggregate([("value", "count")])
    frame = pd.concat(map(pd.read_parquet, files))
    test = frame[(frame.scope == "test") & (frame.metric == "accuracy")]
    lazy = pl.scan_parquet(pattern)
    sql = lambda query: duckdb.sql(query.replace("RESULTS", f"read_parquet('{pattern}')"))
    return {
        "pyarrow: columns are plain text": lambda: text and set(map(str, text.values())) == {"string"},
        "pyarrow: filter": lambda: tables.filter(pc.equal(tables["metric"], "loss")).num_rows > 0,
        "pyarrow: is in": lambda: pc.any(pc.is_in(tables["arm"], pa.array(frame.arm.unique().tolist()))).as_py(),
        "pyarrow: sort": lambda: tables.sort_by("metric").num_rows == tables.num_rows,
        "pyarrow: join": lambda: tables.join(origins, "trial", right_suffix="_2").num_rows == tables.num_rows,
        "pyarrow: group": lambda: origins.num_rows == len(files),
        "pyarrow: csv": lambda: pyarrow.csv.write_csv(tables, out) is None and os.path.getsize(out) > 0,
        "pyarrow: data set": lambda: pyarrow.dataset.dataset(files).count_rows(pc.field("scope") == "test") > 0,
        "pandas: the whole folder": lambda: len(pd.read_parquet(folder)) == len(frame),
        "pyarrow: the whole folder": lambda: pyarrow.dataset.dataset(folder).count_rows() == len(frame),
        "pandas: filter while reading": lambda: len(pd.read_parquet(files, filters=[("scope", "==", "test")])) > 0,
        "pandas: is in": lambda: len(pd.read_parquet(files, filters=[("metric", "in", ["loss", "accuracy"])])) > 0,
        "pandas: sort": lambda: len(frame.sort_values(["metric", "arm"])) == len(frame),
        "pandas: join": lambda: len(frame.merge(frame[["trial", "arm"]].drop_duplicates(), on="trial")) == len(frame),
        "pandas: pivot": lambda: test.pivot_table(index="epoch", columns="arm", values="value").shape[1] == frame.arm.nunique(),
        "pandas: group": lambda: len(test.groupby("trial").value.max()) == len(files),
        "pandas: csv": lambda: test.to_csv(out) is None and len(pd.read_csv(out)) == len(test),
        "Polars: filter": lambda: lazy.filter(pl.col("scope") == "test").collect().height > 0,
        "Polars: sort": lambda: lazy.sort("metric", "arm").collect().height == len(frame),
        "Polars: join": lambda: lazy.join(lazy.select("trial", arm_2="arm").unique(), on="trial").collect().height == len(frame),
        "Polars: pivot": lambda: pl.from_pandas(test).pivot("trial", index="epoch", values="value").width == len(files) + 1,
        "Polars: group": lambda: lazy.group_by("trial").len().collect().height == len(files),
        "Polars: csv": lambda: lazy.collect().write_csv(out) is None,
        "DuckDB: filter": lambda: sql("SELECT count(*) FROM RESULTS WHERE scope = 'test'").fetchall()[0][0] > 0,
        "DuckDB: sort": lambda: len(sql("SELECT * FROM RESULTS ORDER BY metric, arm").fetchall()) == len(frame),
        "DuckDB: join": lambda: sql("SELECT count(*) FROM RESULTS JOIN (SELECT DISTINCT trial FROM RESULTS) USING (trial)").fetchall()[0][0]
        == len(frame),
        "DuckDB: pivot": lambda: len(sql("PIVOT (SELECT trial, metric, value FROM RESULTS) ON metric USING max(value)").fetchall())
        == len(files),
        "DuckDB: group": lambda: len(sql("SELECT trial, max(value) FROM RESULTS GROUP BY trial").fetchall()) == len(files),
        "DuckDB: csv": lambda: sql("SELECT * FROM RESULTS").write_csv(out) is None,
    }


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        here = sys.argv[2] if len(sys.argv) > 2 else results(os.path.abspath(sys.argv[1]), folder)
        for name, check in checks(here, os.path.join(folder, "out.csv")).items():
            try:
                outcome = "ok" if check() else "FAIL: it is not as expected"
            except Exception as error:  # noqa: BLE001, whatever a library raises is what is looked for
                outcome = f"FAIL: {type(error).__name__}: {str(error)[:90]}"
            failed += outcome != "ok"
            print(f"{name}: {outcome}")
    sys.exit(1 if failed else 0)


main()
