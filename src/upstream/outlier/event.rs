//! What happens to hosts, as the [detector](super::Detector) tells it.

use std::time::Duration;

use super::rates::Rates;

/// Something that happened to a host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// The host's number.
    pub host: u64,
    /// What it was.
    pub action: Action,
    /// Time since the end of its last ejection, or for one that ends, since its begin; `None` where there was none.
    pub since: Option<Duration>,
    /// How often it has been ejected up to now.
    pub ejections: u32,
}

/// What happened to a host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// It sticks out.
    Detected {
        /// By what.
        kind: Kind,
        /// What came of it.
        outcome: Outcome,
        /// Its success rate in percent; -1 where it is not known.
        rate: f64,
        /// What the rates of all hosts came to.
        rates: Rates,
    },
    /// Its ejection ended.
    Returned,
    /// It said that it is degraded.
    Degraded,
    /// The time for which that counts ended.
    Restored,
}

/// What comes of a host that sticks out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is ejected.
    Ejected,
    /// It would have been, but that is not enforced, or not this time.
    NotEnforced,
    /// It stays: too many hosts are ejected already.
    Overflow,
}

/// What a host sticks out by: `envoy.data.cluster.v3.OutlierEjectionType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `CONSECUTIVE_5XX`
    Consecutive5xx,
    /// `CONSECUTIVE_GATEWAY_FAILURE`
    ConsecutiveGatewayFailure,
    /// `CONSECUTIVE_LOCAL_ORIGIN_FAILURE`
    ConsecutiveLocalOriginFailure,
    /// `SUCCESS_RATE`
    SuccessRate,
    /// `SUCCESS_RATE_LOCAL_ORIGIN`
    SuccessRateLocalOrigin,
    /// `FAILURE_PERCENTAGE`
    FailurePercentage,
    /// `FAILURE_PERCENTAGE_LOCAL_ORIGIN`
    FailurePercentageLocalOrigin,
}

/// Who says that a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The host; where failures are not counted apart, this proxy too.
    External = 0,
    /// This proxy: it could not connect, the stream broke or no answer came.
    Local = 1,
}

impl Origin {
    /// Both.
    pub const ALL: [Origin; 2] = [Origin::External, Origin::Local];

    pub(super) fn success_rate(self) -> Kind {
        match self {
            Origin::External => Kind::SuccessRate,
            Origin::Local => Kind::SuccessRateLocalOrigin,
        }
    }

    pub(super) fn failure_percentage(self) -> Kind {
        match self {
            Origin::External => Kind::FailurePercentage,
            Origin::Local => Kind::FailurePercentageLocalOrigin,
        }
    }
}

impl Kind {
    /// Those that are failures in a row.
    pub(super) const IN_A_ROW: [Kind; 3] =
        [Kind::Consecutive5xx, Kind::ConsecutiveGatewayFailure, Kind::ConsecutiveLocalOriginFailure];

    /// Whose word it goes by.
    pub(super) fn origin(self) -> Origin {
        match self {
            Kind::Consecutive5xx
            | Kind::ConsecutiveGatewayFailure
            | Kind::SuccessRate
            | Kind::FailurePercentage => Origin::External,
            Kind::ConsecutiveLocalOriginFailure
            | Kind::SuccessRateLocalOrigin
            | Kind::FailurePercentageLocalOrigin => Origin::Local,
        }
    }

    /// The name of the enum's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Consecutive5xx => "CONSECUTIVE_5XX",
            Kind::ConsecutiveGatewayFailure => "CONSECUTIVE_GATEWAY_FAILURE",
            Kind::ConsecutiveLocalOriginFailure => "CONSECUTIVE_LOCAL_ORIGIN_FAILURE",
            Kind::SuccessRate => "SUCCESS_RATE",
            Kind::SuccessRateLocalOrigin => "SUCCESS_RATE_LOCAL_ORIGIN",
            Kind::FailurePercentage => "FAILURE_PERCENTAGE",
            Kind::FailurePercentageLocalOrigin => "FAILURE_PERCENTAGE_LOCAL_ORIGIN",
        }
    }
}
