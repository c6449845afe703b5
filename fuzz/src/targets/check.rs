//! `dragoman check`: any bytes in any of the forms that it takes.

use dragoman::check;
use dragoman::config::extension::Extensions;

use super::Target;
use crate::corpus;

/// The first byte says which form the others have; there is a report whatever they are.
pub(super) const CHECK: Target = Target {
    name: "check",
    run: |data| {
        const FORMS: [&str; 5] = ["yaml", "json", "jsonl", "pb", "pb_text"];
        let Some((form, bytes)) = data.split_first() else { return };
        let form = FORMS[usize::from(*form) % FORMS.len()];
        let report = check::report_of("input", form, bytes.to_vec(), &Extensions::BUILT_IN);
        assert!(report.ends_with(" ignored\n"), "the report has no end: {report}");
    },
    seeds: || {
        let files = corpus::load(&[
            "fuzz/corpus/configuration",
            "fuzz/corpus/json",
            "fuzz/corpus/text",
            "testdata/check",
            "testdata/demo",
            "testdata/verdicts/public",
        ])?;
        let with_form = |file: Vec<u8>| (0..5).map(move |form| [&[form], file.as_slice()].concat());
        Ok(files.into_iter().flat_map(with_form).collect())
    },
    dictionary: &[
        b"@type",
        b"static_resources",
        b"resources",
        b"name",
        b"type.googleapis.com/",
        b"configs",
        b"dynamic_active_clusters",
        b"warming_state",
        b"hostStatuses",
        b"bootstrap",
        b"source",
    ],
};
