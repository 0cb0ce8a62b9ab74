"""Web pages of other origins: their preflights pass undecided, and they can read that they were denied."""

from harness import STORE, Table, client, expect, in_force, make_bucket, send, signed, statement

table = Table()
B = make_bucket("cross-origin")
PAGE, OTHER = "https://app.example", "https://other.example"
client("operator", STORE).put_bucket_cors(
    Bucket=B,
    CORSConfiguration={
        "CORSRules": [
            {
                "AllowedOrigins": [PAGE],
                "AllowedMethods": ["GET", "PUT"],
                "AllowedHeaders": ["*"],
                "ExposeHeaders": ["ETag"],
            }
        ]
    },
)
client("acme-root").put_object(Bucket=B, Key="open/a", Body=b"data")
in_force(B, statement(B, resource=f"arn:aws:s3:::{B}/open/*"))


def preflight(origin, method="GET", target=f"/{B}/closed"):
    asked = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": "x-amz-date"}
    return send("OPTIONS", target, headers=asked)


def allowed_origin(answer):
    return answer.headers.get("access-control-allow-origin")


@table.case
def a_preflight_is_the_stores_to_answer():
    for method in ("GET", "PUT"):
        answer = preflight(PAGE, method)
        expect((answer.status, allowed_origin(answer)), (200, PAGE))
        assert method in answer.headers["access-control-allow-methods"], answer.headers
    for answer in (preflight(OTHER), preflight(PAGE, "DELETE")):
        # Garage lets every page read its refusals.
        assert answer.status == 403 and answer.headers.get("server") != "portcullis", answer.headers


@table.case
def a_denied_request_of_a_page_can_be_read_by_it():
    for call in (
        lambda origin: send("GET", f"/{B}/closed", headers={"origin": origin}),
        lambda origin: signed("mallory", "GET", f"/{B}/closed", headers={"origin": origin}),
        lambda origin: signed("mallory", "PUT", f"/{B}/open/a", b"", {"origin": origin}),
    ):
        answer = call(PAGE)
        expect((answer.brief(), allowed_origin(answer)), ((403, "AccessDenied"), PAGE))
        assert "ETag".lower() in answer.headers.get("access-control-expose-headers", "").lower(), answer.headers
        answer = call(OTHER)
        expect((answer.brief(), allowed_origin(answer)), ((403, "AccessDenied"), None))
    answer = send("GET", f"/{B}/closed")
    expect((answer.brief(), allowed_origin(answer)), ((403, "AccessDenied"), None))


@table.case
def a_granted_request_has_the_stores_headers():
    answer = signed("mallory", "GET", f"/{B}/open/a", headers={"origin": PAGE})
    expect((answer.status, answer.body, allowed_origin(answer)), (200, b"data", PAGE))


table.finish()
