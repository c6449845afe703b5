//! The declaration of statistics that belong together.

/// Declares a struct of statistics with a method for each.
///
/// A line is a kind, a name and, for a histogram, its unit. A name that is no identifier follows as a text.
///
/// ```
/// dragoman::stats! {
///     /// Statistics of a shop.
///     pub struct ShopStats {
///         counter sold_total;
///         gauge visitors;
///         histogram visit_ms (Milliseconds);
///         lazy_codes answers = "door.answers";
///     }
/// }
///
/// let registry = dragoman::observability::stats::Registry::new(1);
/// let shop = ShopStats::new(&registry, "shop.north.");
/// shop.sold_total().inc();
/// assert_eq!(shop.sold_total().value(), 1);
/// ```
#[macro_export]
macro_rules! stats {
    ($(#[$doc:meta])* $vis:vis struct $name:ident {
        $($kind:ident $field:ident $(= $text:literal)? $(($unit:ident))?;)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            block: ::std::sync::Arc<$crate::observability::stats::Block>,
        }

        impl $name {
            const LAYOUT: $crate::observability::stats::Layout = $crate::observability::stats::Layout {
                name: stringify!($name),
                fields: &[$($crate::observability::stats::Field {
                    name: $crate::stats!(@name $field $($text)?),
                    kind: $crate::stats!(@kind $kind $($unit)?),
                },)*],
            };

            /// The statistics of this prefix; existing ones if there are any.
            $vis fn new(registry: &$crate::observability::stats::Registry, prefix: &str) -> Self {
                const LAYOUT: &$crate::observability::stats::Layout = &$name::LAYOUT;
                Self { block: registry.block(prefix, LAYOUT) }
            }

            $(
                #[doc = concat!("`", $crate::stats!(@name $field $($text)?), "`")]
                #[inline]
                $vis fn $field(&self) -> $crate::stats!(@handle $kind) {
                    const SLOT: usize = $name::LAYOUT.slot_of($crate::stats!(@name $field $($text)?));
                    <$crate::stats!(@handle $kind)>::new(&self.block, SLOT)
                }
            )*
        }
    };

    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $text:literal) => { $text };

    (@kind counter) => { $crate::observability::stats::Kind::Counter };
    (@kind lazy_counter) => { $crate::observability::stats::Kind::LazyCounter };
    (@kind gauge) => { $crate::observability::stats::Kind::Gauge };
    (@kind histogram $unit:ident) => {
        $crate::observability::stats::Kind::Histogram($crate::observability::stats::Unit::$unit)
    };
    (@kind lazy_histogram $unit:ident) => {
        $crate::observability::stats::Kind::LazyHistogram($crate::observability::stats::Unit::$unit)
    };
    (@kind codes) => { $crate::observability::stats::Kind::Codes };
    (@kind lazy_codes) => { $crate::observability::stats::Kind::LazyCodes };
    (@kind text) => { $crate::observability::stats::Kind::Text };

    (@handle counter) => { $crate::observability::stats::Counter<'_> };
    (@handle lazy_counter) => { $crate::observability::stats::Counter<'_> };
    (@handle gauge) => { $crate::observability::stats::Gauge<'_> };
    (@handle histogram) => { $crate::observability::stats::Histogram<'_> };
    (@handle lazy_histogram) => { $crate::observability::stats::Histogram<'_> };
    (@handle codes) => { $crate::observability::stats::Codes<'_> };
    (@handle lazy_codes) => { $crate::observability::stats::Codes<'_> };
    (@handle text) => { $crate::observability::stats::Text<'_> };
}
