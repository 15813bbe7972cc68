//! Text for a page, and a check that a page is well-formed: every tag closed
//! in its order, every attribute quoted, every `&` an entity.

/// Tags that have no end, as HTML writes them.
const VOID: [&str; 4] = ["meta", "br", "hr", "link"];

pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// What is wrong with a page.
pub fn check(page: &str) -> Result<(), String> {
    let mut rest = page
        .strip_prefix("<!DOCTYPE html>")
        .ok_or("it does not begin with <!DOCTYPE html>")?;
    let mut open: Vec<&str> = Vec::new();
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start], open.last().copied())?;
        let end = tag_end(&rest[start..]).ok_or_else(|| near("a tag without its end", rest))?;
        let tag = &rest[start + 1..start + end];
        rest = &rest[start + end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            match open.pop() {
                Some(opened) if opened == name => {}
                other => {
                    return Err(format!(
                        "</{name}> closes {other:?}, near {:?}",
                        short(rest)
                    ));
                }
            }
            continue;
        }
        let (tag, closed) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        check_attributes(name, attributes)?;
        if !closed && !VOID.contains(&name) {
            open.push(name);
        }
    }
    check_text(rest, None)?;
    match open.as_slice() {
        [] => Ok(()),
        open => Err(format!("never closed: {open:?}")),
    }
}

/// Where the `>` is that ends the tag: one in quotes does not.
fn tag_end(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '>' && !quoted).then_some(at)
    })
}

/// ` name="value"` again and again.
fn check_attributes(tag: &str, attributes: &str) -> Result<(), String> {
    let mut rest = attributes.trim();
    while !rest.is_empty() {
        let (name, value) = rest
            .split_once("=\"")
            .ok_or_else(|| format!("<{tag}>: {rest:?} is no attribute"))?;
        let named = |c: char| c.is_ascii_alphanumeric() || "-:".contains(c);
        if name.is_empty() || !name.chars().all(named) {
            return Err(format!("<{tag}>: {name:?} is no attribute's name"));
        }
        let (value, after) = value
            .split_once('"')
            .ok_or_else(|| format!("<{tag}>: {name} has no closing quote"))?;
        check_text(value, Some(tag))?;
        rest = after.trim_start();
    }
    Ok(())
}

/// A `&` begins an entity; a style sheet may say what it likes.
fn check_text(text: &str, inside: Option<&str>) -> Result<(), String> {
    if inside == Some("style") {
        return Ok(());
    }
    for (at, _) in text.match_indices('&') {
        let entity = text[at + 1..].split(';').next().unwrap_or_default();
        let known = ["amp", "lt", "gt", "quot", "nbsp"].contains(&entity);
        if !known || !text[at + 1..].contains(';') {
            return Err(near("a & that is no entity", &text[at..]));
        }
    }
    Ok(())
}

fn near(what: &str, text: &str) -> String {
    format!("{what}, near {:?}", short(text))
}

fn short(text: &str) -> &str {
    let end = text.char_indices().nth(60).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str) -> String {
        format!("<!DOCTYPE html>\n<html lang=\"en\"><body>{body}</body></html>\n")
    }

    #[test]
    fn what_is_well_formed_passes() {
        for body in [
            "",
            "<p>a &amp; b<br></p>",
            "<svg viewBox=\"0 0 1 1\"><rect x=\"1\"/></svg>",
            "<p title=\"a > b\">x</p>",
            "<style>a > b { color: red } /* & */</style>",
        ] {
            assert_eq!(check(&page(body)), Ok(()), "{body}");
        }
    }

    #[test]
    fn what_is_not_is_found() {
        for body in [
            "<p>",
            "</p>",
            "<p><b></p></b>",
            "<p>a & b</p>",
            "<p class=x></p>",
            "<p class=\"x></p>",
            "<rect x=\"1\">",
        ] {
            assert!(check(&page(body)).is_err(), "{body}");
        }
        assert!(check("<html></html>").is_err());
    }

    #[test]
    fn escaped_text_is_text() {
        let wild = "<script> & \"quotes\"";
        assert_eq!(check(&page(&format!("<p>{}</p>", escape(wild)))), Ok(()));
    }
}
