"""Fixtures of the emulator's own tests: the emulator, and a client that puts exactly the given bytes on the wire."""

from __future__ import annotations

import hashlib
import http.client
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import boto3  # type: ignore[import-untyped,unused-ignore]  # ships no types
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth  # type: ignore[import-untyped,unused-ignore]  # ships no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped,unused-ignore]  # ships no types
from botocore.config import Config  # type: ignore[import-untyped,unused-ignore]  # ships no types
from botocore.credentials import Credentials  # type: ignore[import-untyped,unused-ignore]  # ships no types
from botocore.exceptions import ClientError  # type: ignore[import-untyped,unused-ignore]  # ships no types
from vvos_s3.emulator import S3Emulator
from vvos_s3.emulator.pytest_plugin import s3_client, s3_emulator, s3_emulator_session  # noqa: F401  # fixtures

MIB = 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        match = re.search(rb"<Code>(\w+)</Code>", self.body)
        return match[1].decode() if match else None

    @property
    def message(self) -> str:
        match = re.search(rb"<Message>([^<]*)</Message>", self.body)
        return match[1].decode() if match else ""


class Raw:
    """Signs with botocore, and lets a test change anything between signing and sending."""

    def __init__(self, emulator: S3Emulator) -> None:
        self.emulator = emulator
        self.netloc = urlsplit(emulator.info["endpoint"]).netloc
        self.bucket = emulator.info["bucket"]

    def path(self, key: str) -> str:
        return f"/{self.bucket}/{quote(key)}"

    def sign(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        host: str | None = None,
        secret: str | None = None,
        payload: str | None = None,
    ) -> dict[str, str]:
        """The headers of a request, signed."""
        info = self.emulator.info
        request = AWSRequest(method, f"http://{host or self.netloc}{target}", dict(headers or {}), data=body)
        auth = S3SigV4Auth(Credentials(info["access_key"], secret or info["secret_key"]), "s3", info["region"])
        auth.payload = lambda _request: payload or hashlib.sha256(body).hexdigest()
        auth.add_auth(request)
        result = {name: str(value) for name, value in request.headers.items()}
        result["Host"] = host or self.netloc
        return result

    def presign(self, method: str, target: str, expires: object) -> str:
        """A presigned URL with any value for its expiry."""
        info = self.emulator.info
        request = AWSRequest(method, f"http://{self.netloc}{target}")
        credentials = Credentials(info["access_key"], info["secret_key"])
        S3SigV4QueryAuth(credentials, "s3", info["region"], expires=expires).add_auth(request)
        url: str = request.url
        return url

    def send(self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """Sends as given; only Host and Content-Length are added where they are missing."""
        connection = http.client.HTTPConnection(self.netloc, timeout=10)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            fields = dict(headers or {})
            present = {name.lower() for name in fields}
            if "host" not in present:
                fields["Host"] = self.netloc
            if body and not present & {"content-length", "transfer-encoding"}:
                fields["Content-Length"] = str(len(body))
            if method == "PUT" and not body and "content-length" not in present:
                fields["Content-Length"] = "0"
            for name, value in fields.items():
                connection.putheader(name, value.encode("latin-1"))
            connection.endheaders()
            if body:
                connection.send(body)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def signed(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"", **options: Any
    ) -> Answer:
        """Signs and sends."""
        return self.send(method, target, self.sign(method, target, headers, body, **options), body)

    def url(self, url: str, method: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """Uses a presigned URL."""
        parts = urlsplit(url)
        return self.send(method, f"{parts.path}?{parts.query}", headers, body)


@pytest.fixture
def raw(s3_emulator: S3Emulator) -> Raw:  # noqa: F811  # the fixture above
    return Raw(s3_emulator)


@pytest.fixture
def bucket(s3_emulator: S3Emulator) -> str:  # noqa: F811  # the fixture above
    return s3_emulator.info["bucket"]


@pytest.fixture
def later(s3_emulator: S3Emulator) -> Callable[[float], None]:  # noqa: F811  # the fixture above
    """Moves the emulator's clock by so many seconds."""

    def move(seconds: float) -> None:
        s3_emulator.clock = lambda: time.time() + seconds

    return move


@pytest.fixture
def client_for(s3_emulator: S3Emulator) -> Iterator[Callable[..., Any]]:  # noqa: F811  # the fixture above
    """Makes boto3 clients with other credentials or another configuration."""
    made = []

    def make(service: str = "s3", **options: Any) -> Any:
        info = s3_emulator.info
        settings = {
            "endpoint_url": info["endpoint"],
            "aws_access_key_id": info["access_key"],
            "aws_secret_access_key": info["secret_key"],
            "region_name": info["region"],
            "config": Config(
                signature_version="s3v4" if service == "s3" else None,
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
            ),
        }
        client = boto3.client(service, **{**settings, **options})
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def refused() -> Callable[..., ClientError]:
    """Calls, and answers the refusal after checking its code."""

    def check(code: str, function: Callable[..., Any], /, **arguments: Any) -> ClientError:
        with pytest.raises(ClientError) as caught:
            function(**arguments)
        assert caught.value.response["Error"]["Code"] == code, caught.value
        return caught.value

    return check
