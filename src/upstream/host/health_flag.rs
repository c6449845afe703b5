//! Reasons why a host is not wholly healthy, as bits of [`Host::health_flags`](super::Host::health_flags).
//!
//! `/clusters` lists them under these names (`health_flags::/failed_eds_health`).

/// An active health check failed.
pub const FAILED_ACTIVE_HC: u32 = 1 << 0;
/// Outlier detection ejected the host.
pub const FAILED_OUTLIER_CHECK: u32 = 1 << 1;
/// EDS says `UNHEALTHY`, `DRAINING` or `TIMEOUT`.
pub const FAILED_EDS_HEALTH: u32 = 1 << 2;
/// An active health check found the host degraded.
pub const DEGRADED_ACTIVE_HC: u32 = 1 << 3;
/// EDS says `DEGRADED`.
pub const DEGRADED_EDS_HEALTH: u32 = 1 << 4;
/// EDS says `DRAINING`.
pub const EDS_STATUS_DRAINING: u32 = 1 << 5;
/// Outlier detection found that the host calls itself degraded.
pub const DEGRADED_OUTLIER_DETECTION: u32 = 1 << 6;
/// The host is configured no more, and stays for as long as its health checks pass.
pub const PENDING_DYNAMIC_REMOVAL: u32 = 1 << 7;
/// The host waits for its first health check, and counts for nothing until then.
pub const PENDING_ACTIVE_HC: u32 = 1 << 8;
/// The host said that nothing is to be sent to it.
pub const EXCLUDED_VIA_IMMEDIATE_HC_FAIL: u32 = 1 << 9;
/// The host did not answer its last health check in time.
pub const ACTIVE_HC_TIMEOUT: u32 = 1 << 10;

/// Any of these makes a host unhealthy.
pub const UNHEALTHY: u32 = FAILED_ACTIVE_HC | FAILED_OUTLIER_CHECK | FAILED_EDS_HEALTH | EDS_STATUS_DRAINING;
/// Any of these makes a host degraded that is not unhealthy.
pub const DEGRADED: u32 = DEGRADED_ACTIVE_HC | DEGRADED_EDS_HEALTH | DEGRADED_OUTLIER_DETECTION;
/// Any of these leaves a host out of what is counted of hosts.
pub const EXCLUDED: u32 = PENDING_ACTIVE_HC | EXCLUDED_VIA_IMMEDIATE_HC_FAIL;
/// The flags that EDS decides.
pub const FROM_EDS: u32 = FAILED_EDS_HEALTH | DEGRADED_EDS_HEALTH | EDS_STATUS_DRAINING;

/// Names in the order in which Envoy lists them.
pub const NAMES: [(u32, &str); 11] = [
    (FAILED_ACTIVE_HC, "/failed_active_hc"),
    (FAILED_OUTLIER_CHECK, "/failed_outlier_check"),
    (FAILED_EDS_HEALTH, "/failed_eds_health"),
    (DEGRADED_ACTIVE_HC, "/degraded_active_hc"),
    (DEGRADED_EDS_HEALTH, "/degraded_eds_health"),
    (PENDING_DYNAMIC_REMOVAL, "/pending_dynamic_removal"),
    (PENDING_ACTIVE_HC, "/pending_active_hc"),
    (EXCLUDED_VIA_IMMEDIATE_HC_FAIL, "/excluded_via_immediate_hc_fail"),
    (ACTIVE_HC_TIMEOUT, "/active_hc_timeout"),
    (EDS_STATUS_DRAINING, "/eds_status_draining"),
    (DEGRADED_OUTLIER_DETECTION, "/degraded_outlier_detection"),
];
