//! Statistics of datagrams.

use crate::stats;

stats! {
    /// A UDP proxy: `udp.<stat_prefix>.`
    pub struct UdpProxyStats {
        gauge downstream_sess_active;
        counter downstream_sess_no_route;
        counter downstream_sess_rx_bytes;
        counter downstream_sess_rx_datagrams;
        counter downstream_sess_rx_errors;
        counter downstream_sess_total;
        counter downstream_sess_tx_bytes;
        counter downstream_sess_tx_datagrams;
        counter downstream_sess_tx_errors;
        counter idle_timeout;
        counter session_filter_config_missing;
    }
}

stats! {
    /// Datagrams to and from the hosts of a cluster: `cluster.<name>.udp.`
    pub struct UdpClusterStats {
        counter sess_rx_datagrams;
        counter sess_rx_datagrams_dropped;
        counter sess_rx_errors;
        counter sess_tunnel_buffer_overflow;
        counter sess_tunnel_failure;
        counter sess_tunnel_success;
        counter sess_tx_datagrams;
        counter sess_tx_errors;
    }
}

stats! {
    /// Datagrams that came to a listener: `listener.<address>.udp.`
    pub struct UdpListenerStats {
        counter downstream_rx_datagram_dropped;
    }
}

stats! {
    /// The session filter that asks a service: `udp.session.ext_authz.<stat_prefix>.`
    pub struct UdpExtAuthzStats {
        gauge active;
        counter buffer_overflow;
        counter denied;
        counter error;
        counter failure_mode_allowed;
        counter ok;
        counter total;
    }
}
