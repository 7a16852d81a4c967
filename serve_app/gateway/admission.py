"""Who may come in, and how often: one for all ways into a replica of the gateway, so that nobody has a share of each."""

from __future__ import annotations

from dataclasses import dataclass

from orthoray.ports import ImageryPort
from serve_app.gateway.auth import Authenticator
from serve_app.gateway.context import GatewayConfig
from serve_app.gateway.limits import Limiter
from serve_app.gateway.rates import Rates
from serve_app.gateway.tokens import verifier_of


@dataclass(frozen=True)
class Admission:
    """What HTTP's middlewares and the gate of gRPC ask."""

    authenticator: Authenticator
    limiter: Limiter


def admission_of(imagery: ImageryPort, config: GatewayConfig) -> Admission:
    """As the settings have it."""
    authenticator = Authenticator(
        imagery,
        config.auth_mode,
        verifier_of(config.tokens),
        failures=Rates(config.failed_logins_per_minute),
    )
    return Admission(authenticator, Limiter(Rates(config.requests_per_minute), config.requests_at_once))
