//! `/config_dump`: all configuration in force, warming or refused, as `envoy.admin.v3.ConfigDump`.

mod element;
mod mask;
mod pieces;
mod section;

use super::{Reply, Request, ResourceKind, pattern};
use mask::Mask;
use pieces::{Config, Pieces};
use section::{SECTIONS, Section, Shown};

/// The whole of it or, with `resource`, the elements of one repeated field; of these the fields in `mask`.
pub(super) fn config_dump(request: &Request<'_>) -> Reply {
    let query = &request.query;
    let name_regex = match query.value("name_regex") {
        // The whole name must match.
        Some(pattern) => {
            match pattern::compile(pattern).and_then(|_| pattern::compile(&format!(r"\A(?:{pattern})\z"))) {
                Ok(regex) => Some(regex),
                Err(error) => {
                    let text =
                        format!("INVALID_ARGUMENT: Error while parsing name_regex from {pattern}: {error}");
                    return Reply::plain_error(400, text);
                }
            }
        }
        None => None,
    };
    let mask = query.value("mask").map(Mask::parse);
    let program = &*request.admin.program;
    let mut resources = program.resources();
    let endpoints = if query.has("include_eds") { program.endpoints() } else { Vec::new() };
    let has_endpoints = !endpoints.is_empty();
    resources.extend(endpoints);
    if let Some(regex) = &name_regex {
        resources.retain(|one| one.kind == ResourceKind::Bootstrap || regex.is_match(&one.name));
    }
    let is_shown = |section: &&'static Section| match section.shown {
        Shown::Always => true,
        Shown::WithEndpoints => has_endpoints,
        Shown::WithDiscoveredFilters => program.discovers_extensions(),
        Shown::WithConnectionManagers => program.has_connection_managers(),
    };
    let shown = SECTIONS.iter().filter(is_shown);
    match query.value("resource") {
        Some(field) => one_field(field, mask, resources, shown),
        None => {
            let mut configs = Vec::new();
            for section in shown {
                match &mask {
                    Some(mask) if !section.is_shown_in(mask) => {}
                    _ => configs.push(Config::whole(section, &resources, program, mask.as_ref())),
                }
            }
            match mask {
                Some(mask) if configs.is_empty() => {
                    let text = format!("FieldMask {mask} could not be successfully applied to any configs.");
                    Reply::dump_error(400, text)
                }
                _ => Reply::json_pieces(Pieces::new(configs)),
            }
        }
    }
}

/// The elements of one repeated field.
fn one_field(
    field: &str,
    mask: Option<Mask>,
    resources: Vec<super::Resource>,
    mut sections: impl Iterator<Item = &'static Section>,
) -> Reply {
    let Some((section, list)) = sections.find_map(|section| Some((section, section.list(field)?))) else {
        let is_plain = SECTIONS.iter().any(|section| section.fields().any(|name| name == field));
        let is_hidden = SECTIONS.iter().any(|section| section.list(field).is_some());
        return if is_plain && !is_hidden {
            let hint = format!("Use ?mask={field} to get only this field");
            Reply::dump_error(400, format!("{field} is not a repeated field. {hint}"))
        } else {
            Reply::dump_error(404, format!("{field} not found in config dump"))
        };
    };
    if let Some(mask) = &mask
        && !mask.fits(list.element_fields())
    {
        let paths: String = mask.paths().map(|path| format!("paths: \"{path}\"\n")).collect();
        return Reply::dump_error(400, format!("FieldMask {paths}could not be successfully used."));
    }
    let configs = Config::elements(section, list, resources, mask.as_ref());
    Reply::json_pieces(Pieces::new(configs))
}
