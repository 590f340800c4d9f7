"""The documented month by a client that was generated from openapi.json. Kasi's own commands are the calendar and the bank."""

import datetime
import io
import os
import subprocess

from kasi_client import AuthenticatedClient
from kasi_client.api.audit import list_audit
from kasi_client.api.collections import execute_collections, get_execution, list_collections, list_decisions
from kasi_client.api.collections import report_collections
from kasi_client.api.customers import get_customer
from kasi_client.api.policies import create_policy, import_policies, list_policies, patch_policy
from kasi_client.api.settlements import create_settlement, export_settlement, get_settlement
from kasi_client.api.webhooks import create_webhook, list_webhooks
from kasi_client.models import ErrorBody, ExecuteInput, ImportPoliciesBody, PolicyInput, PolicyPatch, SettlementInput
from kasi_client.models import ListCollectionsFailed, ListPoliciesStatus, SettlementPreview, WebhookInput, WebhookType
from kasi_client.types import File

client = AuthenticatedClient(
    base_url=os.environ["KASI_API"] + "/v1", token=os.environ["KASI_API_KEY"], prefix="", auth_header_name="X-API-Key",
    timeout=60,
)


def ask(call, wanted, /, **given):
    """Makes a call and wants its status; a 2xx is what the document says."""
    answer = call.sync_detailed(client=client, **given)
    assert answer.status_code == wanted, (call.__name__, answer.status_code, answer.content)
    assert (wanted >= 400) == isinstance(answer.parsed, ErrorBody), answer.parsed
    return answer.parsed if answer.parsed is not None else answer.content


def kasi(*args):
    subprocess.run([os.environ["KASI"], *args, "--kafka", os.environ["KASI_KAFKA"]], check=True, stdout=subprocess.DEVNULL)


def until(day):
    kasi("calendar", "advance", "--to", day)
    kasi("bank", "--once", "--unpaid", "POL003")


# Day 1: the policies, and one collection for each.
rows = "customer_id,external_customer_ref,policy_number,product_code,collection_amount\n" + "".join(
    f"CUST00{i},EXT12{i},POL00{i},FUNERAL_01,{100 + i}.50\n" for i in range(1, 4)
)
ask(create_webhook, 201, body=WebhookInput(url="https://example.invalid/kasi", events=[WebhookType.COLLECTION_PAID]))
assert ask(list_webhooks, 200).data[0].events == [WebhookType.COLLECTION_PAID]
done = ask(import_policies, 200, body=ImportPoliciesBody(file=File(io.BytesIO(rows.encode()), "policies.csv", "text/csv")),
           expected_rows="3", idempotency_key="import-2025-11")
assert (done.imported, done.created, done.failed, done.errors) == (3, 3, 0, []), done
policy = PolicyInput(customer_id="CUST004", external_customer_ref="EXT124", policy_number="POL004", product_code="FUNERAL_01",
                     collection_amount=150.00, collection_day=7, rail=None)
first = ask(create_policy, 201, body=policy, idempotency_key="one")
assert ask(create_policy, 201, body=policy, idempotency_key="one").id == first.id, "the first answer is given again"
assert ask(create_policy, 409, body=policy).error.code == "CONFLICT"
assert len(ask(list_policies, 200, status=ListPoliciesStatus.ACTIVE, limit=3).data) == 3
accepted = ask(execute_collections, 202, body=ExecuteInput(period_month="2025-11"))
assert accepted.policies_queued == 4, accepted
ask(execute_collections, 202, body=ExecuteInput(period_month="2025-12", policy_ids=["POL001"]))
step = ask(list_collections, 200, period_month="2025-12").data[0].next_step
assert (step.reason, step.date) == ("PERIOD_NOT_STARTED", "2025-12-01"), step

# The month: first attempts, a premium that changes, and what is not paid.
for day in ("2025-11-05", "2025-11-07", "2025-11-17", "2025-11-18"):
    until(day)
assert ask(get_execution, 200, id=accepted.execution_id).collections_created == 4
assert ask(patch_policy, 200, id=first.id, body=PolicyPatch(collection_amount=200.00)).collection_amount == 200
assert ask(patch_policy, 409, id=first.id, body=PolicyPatch(customer_id="CUST001")).error.details.field == "customer_id"
unpaid = ask(list_collections, 200, period_month="2025-11", failed=ListCollectionsFailed.TRUE).data
assert [c.policy_number for c in unpaid] == ["POL003"], ask(list_collections, 200, period_month="2025-11").data
assert ask(list_decisions, 200, id=unpaid[0].id, stood_on=datetime.date(2025, 11, 18)).data[0].words
assert ask(get_customer, 200, customer_id="CUST001").collections[0].policy_number == "POL001"
early = ask(create_settlement, 409, body=SettlementInput(period_month="2025-11"))
assert early.error.code == "PERIOD_OPEN", early
preview = ask(create_settlement, 200, body=SettlementInput(period_month="2025-11", preview=True))
assert isinstance(preview, SettlementPreview) and preview.id is None, preview

# The first days of the next month: results, statement, export, payment.
until("2025-12-02")
report = client.get_httpx_client().request(**report_collections._get_kwargs(period_month="2025-11"))
assert report.headers["Kasi-Report"] == "final" and len(report.text.splitlines()) == 5, report.text
statement = ask(create_settlement, 201, body=SettlementInput(period_month="2025-11"))
assert statement.total_collections == 354.00 and statement.status == "pending", statement
assert ask(create_settlement, 200, body=SettlementInput(period_month="2025-11")).id == statement.id
lines = client.get_httpx_client().request(**export_settlement._get_kwargs(id=statement.id)).text.splitlines()
assert sum(round(100 * float(line.split(",")[-1])) for line in lines[1:]) == 35400, lines
until("2025-12-03")
paid = ask(get_settlement, 200, id=statement.id)
assert (paid.status, paid.payment_reference) == ("paid", "EFT-20251203-001"), paid
assert all(call.at.year == 2025 for call in ask(list_audit, 200).data)
