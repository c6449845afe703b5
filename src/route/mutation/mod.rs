//! Headers added to and removed from requests and responses, level by level.
//!
//! A member of a weighted cluster comes first. Then route, virtual host and table, so that the table has the
//! last word, or the other way round with `most_specific_header_mutations_wins`. Within a level headers are
//! removed, then all values are rendered from the headers as they are, then headers are overwritten, then added.

mod levels;

use smallvec::SmallVec;

use crate::base::headers::{Headers, Known, Name, joined_in_requests, joined_in_responses};
use crate::config::format::Format;
use crate::config::route::{AppendAction, HeaderValueOption};

pub use levels::Levels;

/// Renders a header's value, given the headers as they are.
pub type Render<'r> = &'r mut dyn FnMut(&Format, &Headers, &mut Vec<u8>);

/// Adds headers to a request, as one level does.
pub fn add_to_request(headers: &mut Headers, add: &[HeaderValueOption], render: Render<'_>) {
    mutate(headers, &[], add, joined_in_requests, render);
}

/// Adds headers to a response, as one level does.
pub fn add_to_response(headers: &mut Headers, add: &[HeaderValueOption], render: Render<'_>) {
    mutate(headers, &[], add, joined_in_responses, render);
}

/// Takes headers off a request and adds others, as one level does.
pub fn change_request(
    headers: &mut Headers,
    remove: &[String],
    add: &[HeaderValueOption],
    render: Render<'_>,
) {
    mutate(headers, remove, add, joined_in_requests, render);
}

/// A part of a message: in each Envoy keeps other headers as one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The headers of a request.
    Request,
    /// Its trailers.
    RequestTrailers,
    /// The headers of a response.
    Response,
    /// Its trailers.
    ResponseTrailers,
}

impl Part {
    fn joined(self) -> fn(Known) -> bool {
        match self {
            Part::Request => joined_in_requests,
            Part::RequestTrailers => |_| false,
            Part::Response => joined_in_responses,
            Part::ResponseTrailers => |name| matches!(name, Known::GrpcMessage | Known::GrpcStatus),
        }
    }
}

/// Applies one change by itself; its value has been rendered.
pub fn change(headers: &mut Headers, option: &HeaderValueOption, value: &[u8], part: Part) {
    if value.is_empty() && !option.keep_empty_value {
        return;
    }
    let name = Name::new(option.name.as_bytes());
    let there = headers.get_by_name(option.name.as_bytes()).is_some();
    match option.append_action {
        AppendAction::AddIfAbsent if there => {}
        AppendAction::OverwriteIfExists if !there => {}
        AppendAction::AppendIfExistsOrAdd | AppendAction::AddIfAbsent => {
            append(headers, name, value, part.joined());
        }
        AppendAction::OverwriteIfExistsOrAdd | AppendAction::OverwriteIfExists => {
            overwrite(headers, name, value);
        }
    }
}

fn mutate(
    headers: &mut Headers,
    remove: &[String],
    add: &[HeaderValueOption],
    joined: fn(Known) -> bool,
    render: Render<'_>,
) {
    for name in remove {
        headers.remove(Name::new(name.as_bytes()));
    }
    if add.is_empty() {
        return;
    }
    let rendered = Rendered::new(headers, add, render);
    for (option, value) in rendered.iter(add) {
        let overwrites = matches!(
            option.append_action,
            AppendAction::OverwriteIfExistsOrAdd | AppendAction::OverwriteIfExists
        );
        if overwrites {
            overwrite(headers, Name::new(option.name.as_bytes()), value);
        }
    }
    for (option, value) in rendered.iter(add) {
        if matches!(option.append_action, AppendAction::AppendIfExistsOrAdd | AppendAction::AddIfAbsent) {
            append(headers, Name::new(option.name.as_bytes()), value, joined);
        }
    }
}

/// The values of those options that apply.
struct Rendered {
    text: Vec<u8>,
    /// Which option, and where its value ends in `text`; it begins where the one before ends.
    values: SmallVec<[(usize, usize); 8]>,
}

impl Rendered {
    fn new(headers: &Headers, add: &[HeaderValueOption], render: Render<'_>) -> Self {
        let mut rendered = Rendered { text: Vec::with_capacity(128), values: SmallVec::new() };
        for (number, option) in add.iter().enumerate() {
            let there = || headers.get_by_name(option.name.as_bytes()).is_some();
            let applies = match option.append_action {
                AppendAction::AppendIfExistsOrAdd | AppendAction::OverwriteIfExistsOrAdd => true,
                AppendAction::AddIfAbsent => !there(),
                AppendAction::OverwriteIfExists => there(),
            };
            if !applies {
                continue;
            }
            let start = rendered.text.len();
            render(&option.value, headers, &mut rendered.text);
            if rendered.text.len() > start || option.keep_empty_value {
                rendered.values.push((number, rendered.text.len()));
            }
        }
        rendered
    }

    fn iter<'a>(
        &'a self,
        add: &'a [HeaderValueOption],
    ) -> impl Iterator<Item = (&'a HeaderValueOption, &'a [u8])> {
        let mut start = 0;
        self.values.iter().map(move |(number, end)| {
            let value = &self.text[start..*end];
            start = *end;
            (&add[*number], value)
        })
    }
}

/// Adds a value to a message, as a header of its own or after a comma where Envoy keeps one header only.
pub fn add(headers: &mut Headers, name: Name<'_>, value: &[u8], part: Part) {
    append(headers, name, value, part.joined());
}

/// Gives a header one value. Not in its old place: Envoy removes the header and adds it anew.
fn overwrite(headers: &mut Headers, name: Name<'_>, value: &[u8]) {
    headers.remove(name);
    headers.append(name, value);
}

/// Adds a value: as a header of its own, or after a comma where Envoy keeps one header only.
fn append(headers: &mut Headers, name: Name<'_>, value: &[u8], joined: fn(Known) -> bool) {
    if let Name::Known(known) = name
        && joined(known)
        && let Some(old) = headers.get(known)
    {
        let value = [old, value].join(&b","[..]);
        headers.set(known, &value);
        return;
    }
    headers.append(name, value);
}

#[cfg(test)]
mod tests;
