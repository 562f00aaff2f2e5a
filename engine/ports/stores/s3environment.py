"""What the environment of AWS's tools says of a bucket: who we are, which region, which endpoint, which authorities.

For a person at a command line, who has variables, profiles and files of those tools; the operator itself never asks
here. What is told otherwise comes first. Looks where boto3 looks, the metadata service of a machine at AWS
included. Neighbours: `s3place` is what comes out, `engine.cli.buckets` asks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import boto3
from botocore import exceptions
from botocore.configprovider import ConfiguredEndpointProvider

from engine.base.errors import CapabilityError
from engine.ports.stores.s3place import S3Place

_REGION = "us-east-1"
"""What a store that knows no regions takes, and AWS corrects."""


def completed(place: S3Place) -> S3Place:
    """The place with what it lacks. Raises CapabilityError (NoCredentials, BadEnvironment), OSError."""
    try:
        session = boto3.session.Session()
        core = session._session  # noqa: SLF001 - boto3 tells neither endpoint nor authorities
        if not place.access_key:
            place = _with_credentials(place, session)
        endpoint = (
            place.endpoint
            or ConfiguredEndpointProvider(core.full_config, core.get_scoped_config(), "s3").provide()
        )
        region = place.region or session.region_name or _REGION
        bundle = core.get_config_variable("ca_bundle")
    except exceptions.BotoCoreError as error:
        message = f"the settings of AWS's tools cannot be used: {error}"
        raise CapabilityError(message, sent="no", code="BadEnvironment") from None
    authority = place.authority or (Path(bundle).read_text("utf-8") if bundle else "")
    return replace(place, endpoint=endpoint or "", region=region, authority=authority)


def _with_credentials(place: S3Place, session: boto3.session.Session) -> S3Place:
    found = session.get_credentials()
    if found is None:
        raise CapabilityError("no credentials are known for it", sent="no", code="NoCredentials")
    frozen = found.get_frozen_credentials()
    return replace(
        place,
        access_key=frozen.access_key or "",
        secret_key=frozen.secret_key or "",
        session_token=frozen.token or "",
    )
