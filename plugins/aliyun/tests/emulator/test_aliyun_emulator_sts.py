"""STS: AssumeRole's parameters and signature, and its inline policy, enforced in every request that follows."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import oss2  # type: ignore[import-untyped,unused-ignore]  # ships no types
import pytest
import requests
from vvos_aliyun.emulator import AliyunEmulator
from vvos_aliyun.sts import form

from vvos_core import Secret


def call(emulator: AliyunEmulator, **changes: Any) -> requests.Response:
    """A signed AssumeRole; a parameter that is None is left out."""
    info = emulator.info
    parameters: dict[str, Any] = {"Action": "AssumeRole", "RoleArn": emulator.role_arn, "RoleSessionName": "test-1"}
    secret = Secret(changes.pop("secret", info["secret_key"]))
    access = Secret(changes.pop("access", info["access_key"]))
    moment, nonce = changes.pop("moment", time.time()), changes.pop("nonce", uuid.uuid4().hex)
    parameters = {name: value for name, value in {**parameters, **changes}.items() if value is not None}
    body = form(parameters, access, secret, moment, nonce)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return requests.post(info["endpoint"], data=body, headers=headers, timeout=5)


def bucket_of(emulator: AliyunEmulator, version: str = "v4", **changes: Any) -> Any:
    given = call(emulator, **changes).json()["Credentials"]
    auth = oss2.StsAuth(given["AccessKeyId"], given["AccessKeySecret"], given["SecurityToken"], version)
    return oss2.Bucket(auth, emulator.info["endpoint"], "vvos", region="cn-hangzhou")


def policy(*statements: tuple[str, str, str]) -> str:
    made = [{"Effect": effect, "Action": [action], "Resource": [resource]} for effect, action, resource in statements]
    return json.dumps({"Version": "1", "Statement": made})


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_without_a_policy_the_role_may_everything(aliyun_emulator: AliyunEmulator, version: str) -> None:
    bucket = bucket_of(aliyun_emulator, version)
    bucket.put_object("文", b"x")
    assert requests.get(bucket.sign_url("GET", "文", 60), timeout=5).content == b"x"
    bucket.delete_object("文")


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_a_policy_allows_what_it_names_and_nothing_else(
    aliyun_emulator: AliyunEmulator, aliyun_bucket: Any, version: str
) -> None:
    allowed = policy(
        ("Allow", "oss:PutObject", "acs:oss:*:*:vvos/up/*"),
        ("Allow", "oss:GetObject", "acs:oss:*:*:vvos/*"),
        ("Deny", "oss:*", "acs:oss:*:*:vvos/up/private"),
    )
    aliyun_bucket.put_object("other", b"x")
    bucket = bucket_of(aliyun_emulator, version, Policy=allowed)
    bucket.put_object("up/文", b"x")
    assert bucket.get_object("other").read() == b"x"
    bucket.copy_object("vvos", "other", "up/copy")
    upload = bucket.init_multipart_upload("up/big").upload_id
    bucket.upload_part("up/big", upload, 1, b"x")
    calls: list[Callable[[], object]] = [
        lambda: bucket.put_object("other", b"y"),
        lambda: bucket.put_object("up", b"y"),
        lambda: bucket.put_object("up/private", b"y"),
        lambda: bucket.get_object("up/private"),
        lambda: bucket.copy_object("vvos", "up/private", "up/copy"),
        lambda: bucket.delete_object("up/文"),
        lambda: bucket.batch_delete_objects(["up/文"]),
        lambda: bucket.list_parts("up/big", upload),
        lambda: bucket.abort_multipart_upload("up/big", upload),
        lambda: bucket.list_objects(),
        lambda: bucket.get_bucket_info(),
        lambda: bucket.delete_bucket(),
    ]
    for refused in calls:
        with pytest.raises(oss2.exceptions.AccessDenied, match="Access denied by authorizer's policy"):
            refused()


def test_a_url_dies_with_the_credentials_that_signed_it(aliyun_emulator: AliyunEmulator) -> None:
    bucket = bucket_of(aliyun_emulator, DurationSeconds="900")
    url = bucket.sign_url("PUT", "a", 3600)
    assert requests.put(url, data=b"x", timeout=5).status_code == 200
    aliyun_emulator.clock = lambda: time.time() + 901
    answer = requests.put(url, data=b"x", timeout=5)
    assert (answer.status_code, b"SecurityTokenExpired" in answer.content) == (403, True)


def test_credentials_need_their_own_token(aliyun_emulator: AliyunEmulator) -> None:
    one, two = (call(aliyun_emulator).json()["Credentials"] for _ in range(2))
    for token, code in ((two["SecurityToken"], "InvalidSecurityToken"), (None, "InvalidAccessKeyId")):
        provider = oss2.StaticCredentialsProvider(one["AccessKeyId"], one["AccessKeySecret"], token)
        bucket = oss2.Bucket(
            oss2.ProviderAuthV4(provider), aliyun_emulator.info["endpoint"], "vvos", region="cn-hangzhou"
        )
        with pytest.raises(oss2.exceptions.ServerError) as caught:
            bucket.put_object("a", b"x")
        assert caught.value.code == code


BAD_POLICY = "InvalidParameter.PolicyGrammar"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"secret": "wrong"}, 400, "SignatureDoesNotMatch"),
        ({"access": "nobody"}, 404, "InvalidAccessKeyId.NotFound"),
        ({"moment": 1_000_000_000}, 400, "InvalidTimeStamp.Expired"),
        ({"Action": "GetCallerIdentity"}, 404, "InvalidAction.NotFound"),
        ({"RoleArn": None}, 400, "MissingRoleArn"),
        ({"RoleArn": "me"}, 400, "InvalidParameter.RoleArn"),
        ({"RoleArn": "acs:ram::1:role/other"}, 404, "EntityNotExist.Role"),
        ({"RoleSessionName": "x"}, 400, "InvalidParameter.RoleSessionName"),
        ({"DurationSeconds": "899"}, 400, "InvalidParameter.DurationSeconds"),
        ({"DurationSeconds": "3601"}, 400, "InvalidParameter.DurationSeconds"),
        ({"Policy": "{"}, 400, BAD_POLICY),
        ({"Policy": '{"Version": "1", "Statements": []}'}, 400, BAD_POLICY),
        ({"Policy": '{"Version": "2", "Statement": []}'}, 400, BAD_POLICY),
        ({"Policy": policy(("Perhaps", "oss:*", "*"))}, 400, BAD_POLICY),
        ({"Policy": policy(("Allow", "oss:*", "vvos/a"))}, 400, BAD_POLICY),
        ({"Policy": policy(("Allow", "oss:*", "acs:oss:*:*:" + "x" * 2048))}, 400, BAD_POLICY),
    ],
    ids=lambda value: str(value)[:50],
)
def test_refusals(aliyun_emulator: AliyunEmulator, changes: dict[str, Any], status: int, code: str) -> None:
    answer = call(aliyun_emulator, **changes)
    assert (answer.status_code, answer.json()["Code"]) == (status, code)


def test_a_call_is_taken_once(aliyun_emulator: AliyunEmulator) -> None:
    moment = time.time()
    assert call(aliyun_emulator, nonce="n", moment=moment).status_code == 200
    assert call(aliyun_emulator, nonce="n", moment=moment).json()["Code"] == "SignatureNonceUsed"


def test_xml_is_the_other_format(aliyun_emulator: AliyunEmulator) -> None:
    answer = requests.post(aliyun_emulator.info["endpoint"], data={"Action": "AssumeRole"}, timeout=5)
    assert (answer.status_code, b"<Code>MissingVersion</Code>" in answer.content) == (400, True)


def test_aliyuns_own_core_sdk_gets_credentials(aliyun_emulator: AliyunEmulator) -> None:
    from aliyunsdkcore.client import AcsClient  # type: ignore[import-untyped,unused-ignore]  # ships no types
    from aliyunsdkcore.request import CommonRequest  # type: ignore[import-untyped,unused-ignore]  # ships no types

    info = aliyun_emulator.info
    request = CommonRequest(
        domain=info["endpoint"].removeprefix("http://"), version="2015-04-01", action_name="AssumeRole"
    )
    request.set_method("POST")
    request.set_protocol_type("http")
    request.add_query_param("RoleArn", aliyun_emulator.role_arn)
    request.add_query_param("RoleSessionName", "core-sdk")
    answer = json.loads(
        AcsClient(info["access_key"], info["secret_key"], "cn-hangzhou").do_action_with_exception(request)
    )
    assert answer["Credentials"]["SecurityToken"]
