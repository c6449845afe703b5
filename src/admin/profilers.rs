//! `/cpuprofiler`, `/heapprofiler`, `/allocprofiler` and the heap dumps: there are no profilers in this build, which is
//! said as an Envoy without them says it.

use super::{Reply, Request};

/// `/cpuprofiler`: `enable=n` succeeds, since nothing runs.
pub(super) fn cpu(request: &Request<'_>) -> Reply {
    match request.query.get("enable") {
        Some("y") => Reply::text(500, "failure to start the profiler"),
        Some("n") => Reply::ok(),
        _ => Reply::text(400, "?enable=<y|n>\n"),
    }
}

/// `/heapprofiler`
pub(super) fn heap(_: &Request<'_>) -> Reply {
    Reply::text(501, "The current build does not support heap profiler")
}

/// `/allocprofiler`
pub(super) fn allocations(request: &Request<'_>) -> Reply {
    match request.query.get("enable") {
        Some("y") => Reply::text(501, "The current build does not support allocation profiler"),
        Some("n") => Reply::text(400, "Allocation profiler is not started"),
        _ => Reply::text(400, "?enable=<y|n>\n"),
    }
}

/// `/heap_dump` and `/peak_heap_dump`
pub(super) fn heap_dump(_: &Request<'_>) -> Reply {
    Reply::text(501, "Heap dump is not supported in current build")
}

/// `/memory/tcmalloc`
pub(super) fn tcmalloc(_: &Request<'_>) -> Reply {
    Reply::text(501, "TCMalloc is not the allocator of this build")
}
