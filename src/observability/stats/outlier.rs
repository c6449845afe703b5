//! Statistics of outlier detection: `cluster.<name>.outlier_detection.`

use crate::stats;

stats! {
    /// What outlier detection did in a cluster; written by the control thread.
    ///
    /// Several are there twice, as in Envoy: `ejections_consecutive_5xx`, `ejections_success_rate` and
    /// `ejections_total` are what others took the place of.
    pub struct OutlierStats {
        gauge ejections_active;
        counter ejections_consecutive_5xx;
        counter ejections_detected_consecutive_5xx;
        counter ejections_detected_consecutive_gateway_failure;
        counter ejections_detected_consecutive_local_origin_failure;
        counter ejections_detected_degradation;
        counter ejections_detected_failure_percentage;
        counter ejections_detected_local_origin_failure_percentage;
        counter ejections_detected_local_origin_success_rate;
        counter ejections_detected_success_rate;
        counter ejections_enforced_consecutive_5xx;
        counter ejections_enforced_consecutive_gateway_failure;
        counter ejections_enforced_consecutive_local_origin_failure;
        counter ejections_enforced_failure_percentage;
        counter ejections_enforced_local_origin_failure_percentage;
        counter ejections_enforced_local_origin_success_rate;
        counter ejections_enforced_success_rate;
        counter ejections_enforced_total;
        counter ejections_overflow;
        counter ejections_success_rate;
        counter ejections_total;
    }
}
