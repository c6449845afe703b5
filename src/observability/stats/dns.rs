//! Statistics of resolvers: `dns.cares.` and `dns.hickory.`

use crate::stats;

stats! {
    /// Questions that are asked as c-ares asks them, one for each family that is looked for by itself.
    pub struct CaresStats {
        counter get_addr_failure;
        counter not_found;
        gauge pending_resolutions;
        counter reinits;
        counter resolve_total;
        counter timeouts;
    }
}

stats! {
    /// Names that are resolved as the Hickory library resolves them.
    pub struct HickoryStats {
        counter get_addr_failure;
        counter not_found;
        gauge pending_resolutions;
        counter resolve_total;
        counter timeouts;
    }
}
