"""What analysts use from Python, against the analyst's user: sessions beside each other, pandas, SQLAlchemy."""

import os
import threading
from decimal import Decimal

import clickhouse_connect
import pandas
import sqlalchemy

host, port = os.environ["CLICKHOUSE_HTTP"].split(":")
password = os.environ["KASI_ANALYST_PASSWORD"]
login = {"host": host, "port": int(port), "username": "analyst", "password": password, "database": "kasi"}

# A client names a session. Several at once, each with its own, and one beside a connection that is held open.
held = clickhouse_connect.get_client(**login)
failures = []


def ask():
    try:
        client = clickhouse_connect.get_client(**login)
        for _ in range(10):
            assert client.query("SELECT count() FROM reason_codes").result_rows[0][0] > 20
    except Exception as error:
        failures.append(error)


threads = [threading.Thread(target=ask) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures[0]
assert held.query("SELECT 1").result_rows == [(1,)]

frame = held.query_df("SELECT reason_code, toDate('2025-11-05') AS day FROM reason_codes")
assert len(frame) > 20 and list(frame.columns) == ["reason_code", "day"], frame
held.query_df("SELECT * FROM collections LIMIT 100")
rows = held.query("SELECT reason_code, toDecimal64(150, 2) FROM reason_codes LIMIT 1").result_rows
assert rows[0][1] == Decimal("150.00"), rows
narrowed = held.query("SELECT count() FROM reason_codes", settings={
    "additional_table_filters": "{'system.one': 'dummy = 1'}", "max_execution_time": 30, "max_memory_usage": 500_000_000,
})
assert narrowed.result_rows == [(0,)], narrowed.result_rows

engine = sqlalchemy.create_engine(f"clickhousedb://analyst:{password}@{host}:{port}/kasi")
with engine.connect() as connection:
    assert connection.execute(sqlalchemy.text("SELECT count() FROM reason_codes")).scalar() > 20
    read = pandas.read_sql(sqlalchemy.text("SELECT reason, remedy FROM reason_codes"), connection)
    assert len(read) > 20
    try:
        connection.execute(sqlalchemy.text("CREATE TABLE t (a UInt8) ENGINE = Memory"))
        raise SystemExit("the analyst made a table")
    except sqlalchemy.exc.DatabaseError:
        pass
names = sqlalchemy.inspect(engine).get_table_names()
assert "collections_log" in names or "collections" in names, names
with engine.connect() as connection:
    tables = connection.execute(sqlalchemy.text(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'kasi' AND table_type = 'VIEW'"))
    assert ("customers",) in [tuple(row) for row in tables]
print("python: clickhouse-connect", clickhouse_connect.__version__, "pandas", pandas.__version__, "SQLAlchemy",
      sqlalchemy.__version__)
