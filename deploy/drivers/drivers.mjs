// What analysts use from Node: the official client, its settings, sessions and streams.
import assert from "node:assert";
import { createClient } from "@clickhouse/client";

const open = (more = {}) => createClient({
  url: `http://${process.env.CLICKHOUSE_HTTP}`, username: "analyst", password: process.env.KASI_ANALYST_PASSWORD,
  database: "kasi", ...more,
});
const held = open();
const count = async (client) => {
  const answer = await client.query({ query: "SELECT toUInt32(count()) AS n FROM reason_codes", format: "JSONEachRow" });
  return (await answer.json())[0].n;
};
assert((await count(held)) > 20);
await Promise.all([...Array(6).keys()].map(async (i) => {
  const client = open({ session_id: `s${i}`, compression: { response: true } });
  for (let n = 0; n < 5; n++) assert((await count(client)) > 20);
  await client.close();
}));
const answer = await held.query({
  query: "SELECT reason FROM reason_codes WHERE reason_code = {code:String}", query_params: { code: "02" },
  format: "JSON", clickhouse_settings: { max_execution_time: 30, additional_table_filters: "{'kasi.policies_log':'1'}" },
});
assert.equal((await answer.json()).data[0].reason, "INSUFFICIENT_FUNDS");
await assert.rejects(held.command({ query: "CREATE TABLE t (a UInt8) ENGINE = Memory" }), /readonly|privileges/);
await held.close();
console.log("node: @clickhouse/client");
