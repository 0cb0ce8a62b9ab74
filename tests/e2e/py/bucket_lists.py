"""Whose buckets are listed: behind `resign` those of the caller's account, behind `preserve` what the store shows."""

import hashlib

from harness import ACME, AUTH, GLOBEX, STORE, Table, aws, client, expect, make_bucket, outcome, send

table = Table()
OURS, THEIRS = make_bucket("lists-of-acme"), make_bucket("static-globex-lists")


def listed(who, endpoint=None):
    answer = client(who, endpoint).list_buckets()
    return {bucket["Name"] for bucket in answer["Buckets"]}, answer.get("Owner", {}).get("ID")


for who, account in [("acme-root", ACME), ("globex-root", GLOBEX)]:

    def its_own():
        names, owner = listed(who)
        if AUTH == "preserve":
            expect((names, owner), listed(who, STORE))
            assert {OURS, THEIRS} <= names, names
            return
        expect(owner, hashlib.sha256(f"portcullis:canonical:{account}".encode()).hexdigest())
        everything, _ = listed("operator", STORE)
        expect(names, {name for name in everything if name.startswith("static-globex-") == (account == GLOBEX)})
        assert {OURS, THEIRS} <= everything and names & {OURS, THEIRS}, (names, everything)
        expect(OURS in aws(who, "s3", "ls").stdout, account == ACME)

    table.row(f"what {who} sees", None, its_own)
for who in ("mallory", "erin", "build-7"):
    table.row(f"{who} may not list", (403, "AccessDenied"), lambda: outcome(client(who).list_buckets))
table.row("nor nobody", (403, "AccessDenied"), lambda: send("GET", "/").brief())
table.finish()
