//! Statistics of the listener manager: `listener_manager.`

use crate::stats;

stats! {
    /// All listeners together.
    pub struct ListenerManagerStats {
        counter listener_added;
        counter listener_create_failure;
        counter listener_create_success;
        counter listener_in_place_updated;
        counter listener_modified;
        counter listener_removed;
        counter listener_stopped;
        gauge total_filter_chains_draining;
        gauge total_listeners_active;
        gauge total_listeners_draining;
        gauge total_listeners_warming;
        gauge workers_pinned;
        gauge workers_started;
    }
}
